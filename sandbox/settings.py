"""How one sandbox is set up: ports, pace, and where it keeps its state."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Vllm = Literal["real", "double"]
MARKET_PORT, STORE_PORT, STORE_HTTPS_PORT = 18801, 18802, 18803
PROMETHEUS_PORT, ALERTMANAGER_PORT, EXPORTER_PORT, DOOR_PORT = 18804, 18805, 18806, 18807
KUBERNETES_PORT = 18808
STACK_CONFIG = Path(__file__).resolve().parent.parent / "Pulumi.local.yaml"
TIME_SCALE = 30.0


@dataclass(frozen=True)
class Settings:
    """One sandbox. A port of 0 means any free one. `market_only` leaves store and hosts out: nobody can log in;
    `monitoring` brings Prometheus, Alertmanager, exporter, door and a cluster without nodes."""

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
    market_only: bool = False
    monitoring: bool = False
    stack_config: Path = STACK_CONFIG  # of the stack that the exporter watches
    thresholds: bool = True
    old_list: bool = False  # whether the account still has the first version of the market's list

    @property
    def log(self) -> Path:
        """Where the daemon writes what it has to say."""
        return self.state / "sandbox.log"

    @property
    def store(self) -> Path:
        """Where the object store keeps its objects and its certificate, also while no sandbox runs."""
        return store_folder(self.state)


def store_folder(state: Path) -> Path:
    """Return the object store's folder in a state folder."""
    return state / "store"


def folders(environ: Mapping[str, str]) -> tuple[Path, Path]:
    """Return (state folder, cache folder) as the XDG base directory specification says; relative values are ignored."""
    home = Path(environ.get("HOME") or Path.home())

    def base(variable: str, default: Path) -> Path:
        value = Path(environ.get(variable) or default)
        return (value if value.is_absolute() else default) / "gpu-fleet"

    return base("XDG_STATE_HOME", home / ".local" / "state") / "sandbox", base("XDG_CACHE_HOME", home / ".cache")
