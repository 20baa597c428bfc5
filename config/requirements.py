"""The requirements of a fleet on its machines: keys that a fleet's section and the inputs of its instances have in common."""

from pydantic import Field

from config.base import Section
from config.regions import countries


class RequirementsConfig(Section):
    """Bounds that an offer must keep, in the units that users write."""

    max_usd_per_hour: float = Field(
        alias="maxUsdPerHour",
        gt=0,
        description="Most that one instance may cost an hour, all-in (GPU, disk, weights' download).",
    )
    over_ceiling: str = Field(
        "report",
        alias="overCeiling",
        pattern="^(report|replace)$",
        description="What follows if a landlord raises the price past `maxUsdPerHour`: `report` says so, `replace` takes "
        "another machine with the next `up`. A ceiling that you lower always replaces what costs more.",
    )
    reliability: float = Field(0.95, ge=0, le=1, description="Least reliability that the market reports, 0 to 1.")
    download_mbps: float = Field(
        200,
        alias="downloadMbps",
        ge=0,
        description="Least download rate in Mb/s, advertised and then measured.",
    )
    min_cuda: float = Field(
        0,
        alias="minCuda",
        ge=0,
        description="Least CUDA version that the driver supports; 0: what the image needs, as far as its name says.",
    )
    cpu_cores: float = Field(
        0, alias="cpuCores", ge=0, description="Least processors of the rented slice, advertised and then seen."
    )
    memory_gb: float = Field(
        0, alias="memoryGb", ge=0, description="Least memory of the rented slice in GB, advertised and then seen."
    )
    regions: tuple[str, ...] = Field(
        (),
        description="Countries in which a machine may stand: two letters in any case, English names, or `EU`; empty: "
        "anywhere.",
    )
    verified: bool = Field(True, description="Only machines that the market has verified.")
    min_days: float = Field(
        1,
        alias="minDays",
        ge=0,
        description="Least days that an instance may stay. Offers last one day more, as it is replaced in its last day; 0: "
        "no bound.",
    )

    @property
    def countries(self) -> tuple[str, ...]:
        """The regions as the market's two-letter countries."""
        return countries(self.regions)
