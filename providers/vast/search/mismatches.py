"""Name every requirement that an offer fails, and by how much; pure."""

from dataclasses import dataclass

from providers.vast.api.offer import Offer
from providers.vast.search.prices import usd_per_hour
from providers.vast.search.requirements import Requirements


@dataclass(frozen=True)
class Mismatch:
    """One requirement that an offer fails: the config key, and a sentence that says by how much."""

    key: str
    text: str


def mismatches(offer: Offer, wishes: Requirements) -> list[Mismatch]:
    """Return every requirement that the offer fails; an empty list means that it fits."""
    price, needed = usd_per_hour(offer, wishes), wishes.fit.least_mib if wishes.fit else 0
    rules = [
        (offer.gpu_name in wishes.gpu_names, "gpu.name", f"has {offer.gpu_name}"),
        (offer.num_gpus == wishes.gpu_count, "gpu.count", f"has {offer.num_gpus} GPUs"),
        (offer.gpu_ram >= wishes.gpu_ram_mb, "gpu.ramGb", f"has {offer.gpu_ram / 1000:.0f} GB a GPU"),
        (
            offer.gpu_ram >= needed,
            "vllmArguments",
            f"has {offer.gpu_ram / 1000:.0f} GB a GPU, too little for the model",
        ),
        (
            offer.gpu_ram > wishes.too_small.get(offer.gpu_name, 0),
            "memory",
            f"has {offer.gpu_ram / 1000:.0f} GB a GPU, on which vLLM could not serve this",
        ),
        (price <= wishes.max_usd_per_hour, "maxUsdPerHour", f"costs ${price:.3f}/h all-in"),
        (offer.reliable >= wishes.min_reliability, "reliability", f"is {offer.reliable:.3f} reliable"),
        (offer.inet_down >= wishes.min_download_mbps, "downloadMbps", f"downloads {offer.inet_down:.0f} Mb/s"),
        (offer.disk_space >= wishes.disk_gb, "diskGb", f"has {offer.disk_space:.0f} GB of disk"),
        (offer.direct_port_count >= wishes.ports, "ports", f"has {offer.direct_port_count} direct ports"),
        (_enough(offer.cuda_max_good, wishes.min_cuda), "minCuda", _cuda(offer, wishes)),
        (_enough(offer.compute_cap, wishes.min_capability), "compute capability", _capability(offer, wishes)),
        (
            _enough(offer.cpu_cores_effective, wishes.cpu_cores),
            "cpuCores",
            f"has {_number(offer.cpu_cores_effective)} processors",
        ),
        (_enough(offer.memory_gb, wishes.memory_gb), "memoryGb", f"has {_number(offer.memory_gb)} GB of memory"),
        (not wishes.datacenter or offer.hosting_type == 1, "hosting", "is in no data centre that the market knows of"),
        (not wishes.regions or offer.country in wishes.regions, "regions", f"is in {offer.geolocation}"),
        (not wishes.verified_only or offer.verification == "verified", "verified", f"is {offer.verification}"),
        (offer.machine_id not in wishes.avoided_machines, "machine", f"machine {offer.machine_id} failed before"),
        (offer.rentable, "rentable", "is rented"),
        (not wishes.min_seconds or (offer.duration or 0) >= wishes.min_seconds, "minDays", _lasts(offer)),
    ]
    return [Mismatch(key, text) for fits, key, text in rules if not fits]


def _enough(has: float | None, least: float) -> bool:
    """Return True if the value keeps the bound. An unknown value keeps no bound."""
    return not least or (has is not None and has >= least)


def _number(value: float | None) -> str:
    return "an unknown number of" if value is None else f"{value:.3g}"


def _cuda(offer: Offer, wishes: Requirements) -> str:
    has = offer.cuda_max_good
    told = "does not say which CUDA its driver supports" if has is None else f"supports CUDA {has:g}"
    return f"{told}, {wishes.min_cuda:g} is the least"


def _capability(offer: Offer, wishes: Requirements) -> str:
    has = offer.compute_cap
    told = "does not say its compute capability" if has is None else f"has compute capability {has / 100:g}"
    return f"{told}, {wishes.min_capability / 100:g} is the least{wishes.needs.why and f' for {wishes.needs.why}'}"


def _lasts(offer: Offer) -> str:
    # An offer without an end fails the bound, because the market may stop such a machine at any moment.
    if offer.duration is None:
        return "does not say when it ends"
    return f"ends in {offer.duration / 86_400:.2g} days, of which the last does not count"
