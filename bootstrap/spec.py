"""Describe the state that a host must reach, pure."""

import re
from dataclasses import dataclass, field

from bootstrap.errors import SpecInvalid
from bootstrap.metrics_agent import Reporting
from bootstrap.self_destruct_config import SelfDestruct
from config.vllm_options import argument_problems, variable_problems
from weights.manifest import Manifest

RENEW_SECONDS = 30 * 86400.0  # a host's certificate is renewed this long before it ends

CACHE_FOLDER = "/workspace/vllm-cache"  # with `warm_start`, vLLM keeps its compiled files here
TOKEN = re.compile(r"[A-Za-z0-9_-]{32,128}\Z")


@dataclass(frozen=True)
class Preflight:
    """Hold the bounds that a machine must keep, checked before anything big is downloaded; 0 is no bound."""

    gpu_names: tuple[str, ...] = ()
    gpu_count: int = 0
    gpu_ram_mb: int = 0
    shm_mb: int = 160  # vLLM 0.32 asks for 160 MiB; Docker's default of 64 MiB kills it
    disk_gb: float = 0
    download_mbps: float = 0  # measured on the kit's download; 0: not checked
    cuda: float = 0  # CUDA version that the driver must support for the image
    cuda_required: bool = False  # stack config asks for it: an unknown version fails
    capability: float = 0  # compute capability that image, dtype or quantization need of each GPU
    gpu_celsius: float = 0
    cpu_cores: float = 0
    memory_mb: float = 0
    disk_mbps: float = 0  # Mbit/s written, checked before weights of more than a gigabyte
    clock_seconds: float = 0  # how far the host's clock may be off


@dataclass(frozen=True)
class EndpointSpec:
    """Describe one serving host: model, kit, vLLM's arguments, the clients' token, and the addresses that they use.

    `token` lets clients in. It holds only letters, digits, `_` and `-`, because the gate takes `*` for a wildcard.
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
    image: str = ""
    warm_start: bool = False
    reporting: Reporting | None = None
    self_destruct: SelfDestruct | None = None
    store_patience_seconds: float = 90.0  # without a byte from the store, which is down for a minute at times
    advertised_mbps: float = 0  # of the machine's line, in Mbit/s; 0: the market does not say
    reference_url: str = ""  # of a file elsewhere; it tells a slow host from a slow store

    def __post_init__(self) -> None:
        """Check the spec and report all problems at once. Raises SpecInvalid."""
        problems = [] if TOKEN.match(self.token) else ["a token has 32 to 128 letters, digits, '_' or '-'"]
        problems += argument_problems(self.vllm_args) + variable_problems(self.env)
        if not self.addresses:
            problems.append("a certificate needs an address that clients use")
        if problems:
            raise SpecInvalid(f"{self.name}: {'; '.join(problems)}")

    @property
    def model_folder(self) -> str:
        """Return the model's folder on the host. Its name is the digest, so that two versions lie side by side."""
        return f"/workspace/models/{self.model.digest}"

    @property
    def vllm_arguments(self) -> tuple[str, ...]:
        """Return vLLM's arguments after its program and the model."""
        return (
            "--host=127.0.0.1",
            "--port=8000",
            f"--served-model-name={self.served_model}",  # `=` gives it one name; without it takes the next words too
            *self.vllm_args,
        )
