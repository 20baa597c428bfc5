"""Derives from a fleet's config its requirements, disk and vLLM arguments.

Without Pulumi, because commands that run beside the engine need it, too.
"""

from typing import Any

from config.fleets import FleetConfig
from providers.vast.search.serving_options import spread
from providers.vast.settings import GB
from weights.manifest import Manifest
from weights.model_info import ModelInfo


def disk_gb(fleet: FleetConfig, model: Manifest) -> int:
    """Return the disk to rent, in GB: config's, or room for two versions of the weights and 16 GB more.

    A disk is fixed for the life of an instance, and a change of the model needs old and new weights side by side.
    """
    return fleet.disk_gb or 16 + -(-2 * model.total_bytes // GB)


def arguments_of(fleet: FleetConfig, about: ModelInfo | None) -> tuple[str, ...]:
    """Return config's vLLM arguments, with the split over several GPUs if they do not say it.

    The program adds it before the instance is created, so that state has all arguments: a failed update restores those.
    """
    return spread(about, fleet.vllm_arguments, fleet.gpu.count)


def requirements_of(fleet: FleetConfig) -> dict[str, Any]:
    """Return a fleet's requirements, the property `wishes`, in the shape of `providers.vast.settings.RequirementSettings`."""
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
