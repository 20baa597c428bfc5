"""Build the body of the market's search from requirements; pure.

The market filters, orders and returns 64 rows at most. We check every filter again afterwards, because the market
sometimes ignores one.
"""

from typing import Any

from providers.vast.search.requirements import Requirements

PAGE = 64


def query(wishes: Requirements) -> dict[str, Any]:
    """Return the body of `POST /bundles/`: flat filters, order, type, limit, and the disk size for the price."""
    body: dict[str, Any] = {
        **relaxed_query(wishes),
        "reliability2": {"gte": wishes.min_reliability},
        "inet_down": {"gte": wishes.min_download_mbps},
        "dph_base": {"lte": wishes.max_usd_per_hour},
        "disk_space": {"gte": wishes.disk_gb},
        "direct_port_count": {"gte": wishes.ports},
    }
    least = {
        "gpu_ram": wishes.least_gpu_ram,
        "cuda_max_good": wishes.min_cuda,
        "compute_cap": wishes.min_capability,
        "cpu_cores_effective": wishes.cpu_cores,
        "cpu_ram": wishes.memory_gb * 1000,  # of the whole machine; `mismatches` checks the slice's share
        "duration": wishes.min_seconds,
    }
    body |= {name: {"gte": value} for name, value in least.items() if value}
    if wishes.datacenter:
        body["datacenter"] = {"eq": True}
    if wishes.regions:
        body["geolocation"] = {"in": list(wishes.regions)}
    if wishes.verified_only:
        body["verified"] = {"eq": True}
    if wishes.avoided_machines:
        body["machine_id"] = {"notin": sorted(wishes.avoided_machines)}
    return body


def relaxed_query(wishes: Requirements) -> dict[str, Any]:
    """Return a query for the same GPUs without any other bound, so that a refusal can name near offers."""
    return {
        "gpu_name": {"in": list(wishes.gpu_names)},
        "num_gpus": {"eq": wishes.gpu_count},
        "rentable": {"eq": True},
        "external": {"eq": False},
        "type": "on-demand",
        "order": [["dph_total", "asc"]],
        "limit": PAGE,
        "allocated_storage": wishes.disk_gb,
    }
