"""One offer of the market, as its search returns it."""

from pydantic import BaseModel, ConfigDict


class Offer(BaseModel):
    """One row of a search. Prices in $; each field's comment gives its unit."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: int
    machine_id: int
    host_id: int | None = None
    gpu_name: str
    num_gpus: int
    gpu_ram: float  # MB a GPU
    dph_base: float  # $/h, GPUs only
    storage_cost: float  # $/GB/month
    inet_down: float  # Mb/s
    inet_down_cost: float = 0.0  # $/GB
    disk_space: float  # GB free
    reliability: float | None = None
    reliability2: float | None = None
    verification: str | None = None
    geolocation: str | None = None
    direct_port_count: int = 0
    cuda_max_good: float | None = None
    compute_cap: int | None = None  # times 100
    cpu_cores: float | None = None  # of the whole machine
    cpu_cores_effective: float | None = None  # of this offer's slice
    cpu_ram: float | None = None  # MB of the whole machine
    hosting_type: int | None = None  # 1: a data centre
    duration: float | None = None  # seconds until the offer ends
    rentable: bool = True

    @property
    def reliable(self) -> float:
        """Advertised reliability, 0 to 1; 0 if the market gives none."""
        return self.reliability2 if self.reliability2 is not None else (self.reliability or 0.0)

    @property
    def memory_gb(self) -> float | None:
        """Memory of this slice in GB: the machine's memory times the slice's share of cores; None if unknown."""
        if self.cpu_ram is None:
            return None
        share = self.cpu_cores_effective / self.cpu_cores if self.cpu_cores and self.cpu_cores_effective else 1.0
        return self.cpu_ram * min(share, 1.0) / 1000

    @property
    def country(self) -> str:
        """Two-letter country, the end of texts such as `Texas, US`; empty if unknown."""
        return (self.geolocation or "").rsplit(",", 1)[-1].strip().upper()
