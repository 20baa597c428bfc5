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


def mismatches(offer: Offer, requirements: Requirements) -> list[Mismatch]:
    """Return every requirement that the offer fails; an empty list means that it fits."""
    price, needed = usd_per_hour(offer, requirements), requirements.fit.least_mib if requirements.fit else 0
    rules = [
        (offer.gpu_name in requirements.gpu_names, "gpu.name", f"has {offer.gpu_name}"),
        (offer.num_gpus == requirements.gpu_count, "gpu.count", f"has {offer.num_gpus} GPUs"),
        (offer.gpu_ram >= requirements.gpu_ram_mb, "gpu.ramGb", f"has {offer.gpu_ram / 1000:.0f} GB a GPU"),
        (
            offer.gpu_ram >= needed,
            "vllmArguments",
            f"has {offer.gpu_ram / 1000:.0f} GB a GPU, too little for the model",
        ),
        (
            offer.gpu_ram > requirements.too_small.get(offer.gpu_name, 0),
            "memory",
            f"has {offer.gpu_ram / 1000:.0f} GB a GPU, on which vLLM could not serve this",
        ),
        (price <= requirements.max_usd_per_hour, "maxUsdPerHour", f"costs ${price:.3f}/h all-in"),
        (offer.reliable >= requirements.min_reliability, "reliability", f"is {offer.reliable:.3f} reliable"),
        (offer.inet_down >= requirements.min_download_mbps, "downloadMbps", f"downloads {offer.inet_down:.0f} Mb/s"),
        (offer.disk_space >= requirements.disk_gb, "diskGb", f"has {offer.disk_space:.0f} GB of disk"),
        (offer.direct_port_count >= requirements.ports, "ports", f"has {offer.direct_port_count} direct ports"),
        (_enough(offer.cuda_max_good, requirements.min_cuda), "minCuda", _cuda(offer, requirements)),
        (
            _enough(offer.compute_cap, requirements.min_capability),
            "compute capability",
            _capability(offer, requirements),
        ),
        (
            _enough(offer.cpu_cores_effective, requirements.cpu_cores),
            "cpuCores",
            f"has {_number(offer.cpu_cores_effective)} processors",
        ),
        (_enough(offer.memory_gb, requirements.memory_gb), "memoryGb", f"has {_number(offer.memory_gb)} GB of memory"),
        (
            not requirements.datacenter or offer.hosting_type == 1,
            "hosting",
            "is in no data centre that the market knows of",
        ),
        (not requirements.regions or offer.country in requirements.regions, "regions", f"is in {offer.geolocation}"),
        (not requirements.verified_only or offer.verification == "verified", "verified", f"is {offer.verification}"),
        (offer.machine_id not in requirements.avoided_machines, "machine", f"machine {offer.machine_id} failed before"),
        (offer.rentable, "rentable", "is rented"),
        (not requirements.min_seconds or (offer.duration or 0) >= requirements.min_seconds, "minDays", _lasts(offer)),
    ]
    return [Mismatch(key, text) for fits, key, text in rules if not fits]


def _enough(has: float | None, least: float) -> bool:
    """Return True if the value keeps the bound. An unknown value keeps no bound."""
    return not least or (has is not None and has >= least)


def _number(value: float | None) -> str:
    return "an unknown number of" if value is None else f"{value:.3g}"


def _cuda(offer: Offer, requirements: Requirements) -> str:
    has = offer.cuda_max_good
    stated = "does not say which CUDA its driver supports" if has is None else f"supports CUDA {has:g}"
    return f"{stated}, {requirements.min_cuda:g} is the least"


def _capability(offer: Offer, requirements: Requirements) -> str:
    has = offer.compute_cap
    stated = "does not say its compute capability" if has is None else f"has compute capability {has / 100:g}"
    why = requirements.needs.why
    return f"{stated}, {requirements.min_capability / 100:g} is the least{why and f' for {why}'}"


def _lasts(offer: Offer) -> str:
    # An offer without an end fails the bound, because the market may stop such a machine at any moment.
    if offer.duration is None:
        return "does not say when it ends"
    return f"ends in {offer.duration / 86_400:.2g} days, of which the last does not count"
