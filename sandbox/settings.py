"""The settings of one sandbox: ports, speed of time, and folders."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Vllm = Literal["real", "double"]
Hetzner = Literal["off", "api", "on"]
MARKET_PORT, STORE_PORT, STORE_HTTPS_PORT = 18801, 18802, 18803
PROMETHEUS_PORT, ALERTMANAGER_PORT, EXPORTER_PORT, DOOR_PORT = 18804, 18805, 18806, 18807
KUBERNETES_PORT, CONTROLLER_PORT, HETZNER_PORT = 18808, 18809, 18810
HETZNER_TOKEN = "sandbox-hetzner-token-".ljust(64, "0")  # public by design; Hetzner's own have 64 letters, too
STACK_CONFIG = Path(__file__).resolve().parent.parent / "Pulumi.local.yaml"
TIME_SCALE = 30.0


@dataclass(frozen=True)
class Settings:
    """The settings of one sandbox. A port of 0 means any free port.

    `market_only` leaves out the store and real hosts, so no login works. `monitoring` adds Prometheus,
    Alertmanager, exporter, receiver (`door_port`) and a cluster without nodes. `hetzner` adds an emulated Hetzner Cloud,
    whose servers are machines (`on`) or only records (`api`).
    """

    state: Path
    cache: Path
    vllm: Vllm = "real"
    time_scale: float = TIME_SCALE
    seed: int = 1
    machines: int = 360
    market_port: int = 0
    store_port: int = 0
    store_https_port: int = 0
    prometheus_port: int = 0
    alertmanager_port: int = 0
    exporter_port: int = 0
    door_port: int = 0
    kubernetes_port: int = 0
    controller_port: int = 0
    hetzner_port: int = 0
    store_like_s3: bool = False  # the store lists no folders, so that states of stacks may lie there
    address: str = "127.0.0.1"  # at which rented hosts answer, an address of this machine
    market_only: bool = False
    monitoring: bool = False
    hetzner: Hetzner = "off"
    node_images: Path | None = (
        None  # with a folder of images, monitoring runs as pods on a real node, and servers run pods
    )
    stack_config: Path = STACK_CONFIG  # the stack that the exporter watches
    thresholds: bool = True
    old_list: bool = False  # the account still has the first version of the market's list

    @property
    def watched(self) -> bool:
        """Whether monitoring and the cluster start with the sandbox."""
        return self.monitoring and not self.market_only

    @property
    def log(self) -> Path:
        """The daemon's log file."""
        return self.state / "sandbox.log"

    @property
    def store(self) -> Path:
        """The folder of the object store's objects and certificate, also while no sandbox runs."""
        return store_folder(self.state)


def store_folder(state: Path) -> Path:
    """Return the object store's folder in a state folder."""
    return state / "store"


def folders(environ: Mapping[str, str]) -> tuple[Path, Path]:
    """Return (state folder, cache folder) by the XDG base directory specification, which ignores relative values."""
    home = Path(environ.get("HOME") or Path.home())

    def base(variable: str, default: Path) -> Path:
        value = Path(environ.get(variable) or default)
        return (value if value.is_absolute() else default) / "gpu-fleet"

    return base("XDG_STATE_HOME", home / ".local" / "state") / "sandbox", base("XDG_CACHE_HOME", home / ".cache")
