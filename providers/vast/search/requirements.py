"""A fleet's requirements of an instance: hard bounds on machine, line, price and place."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from providers.vast.search import start_time
from providers.vast.search.image_needs import NOTHING_NEEDED, Needs
from providers.vast.search.memory_fit import Fit


@dataclass(frozen=True)
class Requirements:
    """The requirements of an instance. Every field is a hard bound; ranking orders the offers that fit."""

    gpu_names: tuple[str, ...]
    gpu_count: int
    max_usd_per_hour: float
    disk_gb: float
    weights_gb: float
    gpu_ram_mb: float = 0
    min_reliability: float = 0
    min_download_mbps: float = 0
    min_cuda: float = 0
    min_capability: int = 0  # compute capability times 100
    cpu_cores: float = 0
    memory_gb: float = 0
    datacenter: bool = False
    instances: int = 1  # how many the fleet wants with these requirements
    regions: tuple[str, ...] = ()
    verified_only: bool = True
    expected_hours: float = 8
    ports: int = 2  # SSH and the gate
    avoided_machines: frozenset[int] = field(default_factory=frozenset)
    fit: Fit | None = None
    # By GPU name: the MB that proved too small for vLLM in this create.
    too_small: Mapping[str, float] = field(default_factory=dict, hash=False)
    image_gb: float = start_time.IMAGE_GB  # compressed
    min_seconds: float = 0  # real seconds until the offer ends
    time_scale: float = 1  # market seconds in one real second
    needs: Needs = NOTHING_NEEDED  # the reason for the bounds of CUDA and capability

    @property
    def least_gpu_ram(self) -> float:
        """MB that a GPU must have, for the config and for the model."""
        return max(self.gpu_ram_mb, self.fit.least_mib if self.fit else 0)
