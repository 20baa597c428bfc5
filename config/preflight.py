"""A fleet's section `preflight`."""

from pydantic import Field

from config.base import Section


class PreflightConfig(Section):
    """Bounds that a machine must keep before the weights are downloaded; 0 is no bound."""

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
        description="Most seconds that the machine's clock may be off; certificates depend on it.",
    )
    gpu_celsius: float = Field(
        85, alias="gpuCelsius", ge=0, description="Hottest that a GPU may be before it has any work."
    )
