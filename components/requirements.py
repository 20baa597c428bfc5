"""What a fleet wishes of its machines, without Pulumi: commands beside the engine and the exporter's image need it, too."""

from typing import Any

from config.fleets import FleetConfig
from providers.vast.search.serving_options import spread
from providers.vast.settings import GB
from weights.manifest import Manifest
from weights.model_info import ModelInfo


def disk_gb(fleet: FleetConfig, model: Manifest) -> int:
    """Return the disk to rent: what config says, or room for two versions of the weights and 16 GB besides.

    Disk is fixed for the life of an instance, and a model swap needs old and new weights side by side.
    """
    return fleet.disk_gb or 16 + -(-2 * model.total_bytes // GB)


def arguments_of(fleet: FleetConfig, about: ModelInfo | None) -> tuple[str, ...]:
    """Return vLLM's arguments: the config's, with how it uses several GPUs where they do not say it.

    They are added here, and not when an instance is set up, so that its state says what it runs with: an update that fails
    goes back to that.
    """
    return spread(about, fleet.vllm_arguments, fleet.gpu.count)


def requirements_of(fleet: FleetConfig) -> dict[str, Any]:
    """Return what a fleet wishes of its machines, in the shape of `providers.vast.settings.RequirementSettings`."""
    return {
        "gpuNames": list(fleet.gpu.name),
        "gpuCount": fleet.gpu.count,
        "gpuRamGb": fleet.gpu.ram_gb,
        "maxUsdPerHour": fleet.max_usd_per_hour,
        "reliability": fleet.reliability,
        "downloadMbps": fleet.download_mbps,
        "minCuda": fleet.min_cuda,
        "regions": list(fleet.regions),
        "verified": fleet.verified,
        "datacenter": fleet.hosting == "datacenter",
        "cpuCores": fleet.cpu_cores,
        "memoryGb": fleet.memory_gb,
        "minDays": fleet.min_days,
        "overCeiling": fleet.over_ceiling,
    }
