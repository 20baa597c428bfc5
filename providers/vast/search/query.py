"""Build the body of the market's search from requirements; pure.

The market filters, orders and returns 64 rows at most. We check every filter again afterwards, because the market
sometimes ignores one.
"""

from typing import Any

from providers.vast.search.requirements import Requirements

PAGE = 64


def query(requirements: Requirements) -> dict[str, Any]:
    """Return the body of `POST /bundles/`: flat filters, order, type, limit, and the disk size for the price."""
    body: dict[str, Any] = {
        **relaxed_query(requirements),
        "reliability2": {"gte": requirements.min_reliability},
        "inet_down": {"gte": requirements.min_download_mbps},
        "dph_base": {"lte": requirements.max_usd_per_hour},
        "disk_space": {"gte": requirements.disk_gb},
        "direct_port_count": {"gte": requirements.ports},
    }
    least = {
        "gpu_ram": requirements.least_gpu_ram,
        "cuda_max_good": requirements.min_cuda,
        "compute_cap": requirements.min_capability,
        "cpu_cores_effective": requirements.cpu_cores,
        "cpu_ram": requirements.memory_gb * 1000,  # of the whole machine; `mismatches` checks the slice's share
        "duration": requirements.min_seconds,
    }
    body |= {name: {"gte": value} for name, value in least.items() if value}
    if requirements.datacenter:
        body["datacenter"] = {"eq": True}
    if requirements.regions:
        body["geolocation"] = {"in": list(requirements.regions)}
    if requirements.verified_only:
        body["verified"] = {"eq": True}
    if requirements.avoided_machines:
        body["machine_id"] = {"notin": sorted(requirements.avoided_machines)}
    return body


def relaxed_query(requirements: Requirements) -> dict[str, Any]:
    """Return a query for the same GPUs without any other bound, so that a refusal can name near offers."""
    return {
        "gpu_name": {"in": list(requirements.gpu_names)},
        "num_gpus": {"eq": requirements.gpu_count},
        "rentable": {"eq": True},
        "external": {"eq": False},
        "type": "on-demand",
        "order": [["dph_total", "asc"]],
        "limit": PAGE,
        "allocated_storage": requirements.disk_gb,
    }
