"""What a host must become, pure."""

import re
from dataclasses import dataclass, field

from bootstrap.errors import SpecInvalid
from bootstrap.manifest import Manifest
from bootstrap.reporting import Reporting

# vLLM listens where the gate expects it, serves what the manifest pins, and is not guarded by a key of its own: the gate
# takes the token off requests, and a key on the command line can be read by every process of the host.
OURS = (
    "--host",
    "--port",
    "--uds",
    "--model",
    "--served-model-name",
    "--config",
    "--api-key",
    "--ssl-keyfile",
    "--ssl-certfile",
)
OUR_VARIABLES = ("VLLM_API_KEY", "VLLM_HOST_IP", "HF_TOKEN")
CACHE_FOLDER = "/workspace/vllm-cache"  # where vLLM keeps what it compiled, with `warm_start`
VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*\Z")
TOKEN = re.compile(r"[A-Za-z0-9_-]{32,128}\Z")


@dataclass(frozen=True)
class Preflight:
    """Bounds that the machine must keep, looked at before anything big is downloaded; 0 is no bound."""

    gpu_names: tuple[str, ...] = ()
    gpu_count: int = 0
    gpu_ram_mb: int = 0
    shm_mb: int = 160  # vLLM 0.32 asks for 160 MiB; Docker's default of 64 MiB kills it
    disk_gb: float = 0
    download_mbps: float = 0  # measured on the kit's download; 0: not looked at
    cuda: float = 0  # what the image needs of the driver
    cuda_wished: bool = False  # somebody asked for it by name: not known is not enough
    capability: float = 0  # compute capability that image, dtype or quantization need of each GPU
    gpu_celsius: float = 0
    cpu_cores: float = 0
    memory_mb: float = 0
    disk_mbps: float = 0  # Mbit/s written, looked at before weights of more than a gigabyte
    clock_seconds: float = 0  # how far the host's clock may be off


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
    image: str = ""
    warm_start: bool = False
    reporting: Reporting | None = None
    store_patience_seconds: float = 90.0  # without a byte from the store: it is down for a minute at times

    def __post_init__(self) -> None:
        """Refuse what cannot be, with all reasons at once. Raises SpecInvalid."""
        problems = [] if TOKEN.match(self.token) else ["a token has 32 to 128 letters, digits, '_' or '-'"]
        problems += argument_problems(self.vllm_args) + variable_problems(self.env)
        if not self.addresses:
            problems.append("a certificate needs an address that clients use")
        if problems:
            raise SpecInvalid(f"{self.name}: {'; '.join(problems)}")

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


def argument_problems(arguments: tuple[str, ...]) -> list[str]:
    """Return a sentence for each of vLLM's arguments that is ours to set, abbreviated or not; pure, for use in previews."""
    options = [argument.partition("=")[0].replace("_", "-") for argument in arguments if argument.startswith("--")]
    return [
        f"{option} is set by gpu-fleet ({ours}); take it out of the fleet's vLLM arguments"
        for option in options
        for ours in OURS
        if len(option) > 2 and ours.startswith(option)
    ]


def variable_problems(variables: tuple[tuple[str, str], ...]) -> list[str]:
    """Return a sentence for each environment variable of vLLM that cannot be set; values are not repeated."""
    problems = [f"{name} is set by gpu-fleet; take it out" for name, _ in variables if name in OUR_VARIABLES]
    problems += [f"{name!r} is no name of an environment variable" for name, _ in variables if not VARIABLE.match(name)]
    return problems + [f"{name} has a zero byte in its value" for name, value in variables if "\0" in value]
