"""What a host must become, pure."""

import re
from dataclasses import dataclass, field

from bootstrap.manifest import Manifest

TOKEN = re.compile(r"[A-Za-z0-9_-]{32,128}\Z")


@dataclass(frozen=True)
class Preflight:
    """Bounds that the machine must keep, looked at before anything big is downloaded."""

    gpu_names: tuple[str, ...] = ()
    gpu_count: int = 0
    gpu_ram_mb: int = 0
    shm_mb: int = 160  # vLLM 0.32 asks for 160 MiB; Docker's default of 64 MiB kills it
    disk_gb: float = 0
    download_mbps: float = 0  # measured on the kit's download; 0: not looked at


@dataclass(frozen=True)
class EndpointSpec:
    """One serving host: model, kit, vLLM's arguments, who may ask, and under which addresses.

    `token` lets clients in; it must be letters, digits, `_` and `-`, because `*` is a wildcard to the gate.
    """

    name: str
    model: Manifest
    kit: Manifest
    served_model: str
    token: str = field(repr=False)
    addresses: tuple[str, ...]
    vllm_args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    port: int = 8443
    certificate_epoch: int = 0
    preflight: Preflight = Preflight()

    def __post_init__(self) -> None:
        """Refuse a token that the gate would read as a pattern."""
        if not TOKEN.match(self.token):
            raise ValueError(f"{self.name}: a token has 32 to 128 letters, digits, '_' or '-'")

    @property
    def model_folder(self) -> str:
        """Where the model lies on the host: named by its digest, so that two versions lie side by side."""
        return f"/workspace/models/{self.model.digest}"

    @property
    def vllm_command(self) -> tuple[str, ...]:
        """What vLLM is started with, after the interpreter."""
        return (
            "-m",
            "vllm.entrypoints.openai.api_server",
            "--host",
            "127.0.0.1",
            "--port",
            "8000",
            "--model",
            self.model_folder,
            "--served-model-name",
            self.served_model,
            *self.vllm_args,
        )
