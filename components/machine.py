"""The sections of a fleet that say what its machines are: GPUs, what they must show, and the login for the image."""

from typing import Any

from pydantic import Field, SecretStr, field_validator

from components.section import Section
from providers.vast.registry import NO_BLANKS


class Gpu(Section):
    """Which GPUs an instance has."""

    name: tuple[str, ...] = Field(
        description="GPU name, such as `RTX 4090`, in any spelling; a family such as `H100`; or a list of them."
    )
    count: int = Field(
        1,
        ge=1,
        description="GPUs an instance. vLLM uses all of them by --tensor-parallel-size, unless its arguments say how.",
    )
    ram_gb: float = Field(0, alias="ramGb", ge=0, description="Least memory a GPU, in GB.")

    @field_validator("name", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class Preflight(Section):
    """What a machine must show before the weights are downloaded; 0 is no bound."""

    cpu_cores: float = Field(2, alias="cpuCores", ge=0, description="Least processors that the container may use.")
    memory_gb: float = Field(4, alias="memoryGb", ge=0, description="Least memory in GB.")
    disk_mbps: float = Field(
        800,
        alias="diskMbps",
        ge=0,
        description="Least rate in Mb/s at which the disk takes weights of more than 1 GB, measured.",
    )
    clock_seconds: float = Field(
        300,
        alias="clockSeconds",
        ge=0,
        description="How far the machine's clock may be off; certificates depend on it.",
    )
    gpu_celsius: float = Field(
        85, alias="gpuCelsius", ge=0, description="Hottest that a GPU may be before it has any work."
    )


class Registry(Section):
    """Login of the registry of a private image. The landlord of every rented machine sees it: let it read, and no more."""

    server: str = Field(pattern=NO_BLANKS, description="Host of the registry, such as `ghcr.io`.")
    user: str = Field(pattern=NO_BLANKS, description="User name.")
    # Who reads the stack's file without Pulumi does not see it; that it is set the preview looks at.
    password: SecretStr = Field(
        SecretStr(""), description="Password or token, a secret of the stack: set it with `--secret`."
    )

    @field_validator("password", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        # `pulumi config set` makes numbers of digits.
        return str(value) if isinstance(value, int) else value
