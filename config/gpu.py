"""A fleet's section `gpu`."""

from typing import Any

from pydantic import Field, field_validator

from config.base import Section


class GpuConfig(Section):
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
