"""Search and rank, pure: what to ask the market, which offers fit, and in which order to try them.

The market filters and orders, and returns 64 rows at most; every filter is checked again here, because some are at
times not applied. Prices are all-in: GPU, disk and the download of the weights spread over the expected hours.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from providers.ledger.machine_history import NOTHING, MachineHistory
from providers.vast.search import start_time
from providers.vast.search.image_needs import NOTHING_NEEDED, Needs
from providers.vast.search.memory_fit import Fit

HOURS_A_MONTH = 720  # the market's own month for storage prices: GB x cost / 30 / 24
PAGE = 64
NEAR = 1.05  # times the best expected price: nearly the same


class Offer(BaseModel):
    """One row of the market's list. Prices in $, sizes as the field names say."""

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
    cpu_cores: float | None = None  # of the machine
    cpu_cores_effective: float | None = None  # of this slice
    cpu_ram: float | None = None  # MB of the machine
    hosting_type: int | None = None  # 1: a data centre
    duration: float | None = None  # seconds for which it may still be rented
    rentable: bool = True

    @property
    def reliable(self) -> float:
        """Advertised reliability, 0 to 1; 0 where the market is silent."""
        return self.reliability2 if self.reliability2 is not None else (self.reliability or 0.0)

    @property
    def memory_gb(self) -> float | None:
        """Memory of this slice: the machine's, by the share of its processors; None where the market is silent."""
        if self.cpu_ram is None:
            return None
        share = self.cpu_cores_effective / self.cpu_cores if self.cpu_cores and self.cpu_cores_effective else 1.0
        return self.cpu_ram * min(share, 1.0) / 1000

    @property
    def country(self) -> str:
        """Two-letter country, the tail of texts such as `Texas, US`; empty where unknown."""
        return (self.geolocation or "").rsplit(",", 1)[-1].strip().upper()


@dataclass(frozen=True)
class Requirements:
    """What an instance must have. Every field is a hard bound; ranking happens among what is left."""

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
    instances: int = 1  # that are wanted with the same wishes
    regions: tuple[str, ...] = ()
    verified_only: bool = True
    expected_hours: float = 8
    ports: int = 2  # SSH and the gate
    avoided_machines: frozenset[int] = field(default_factory=frozenset)
    fit: Fit | None = None
    # By GPU name: MB on which vLLM had too few.
    too_small: Mapping[str, float] = field(default_factory=dict, hash=False)
    image_gb: float = start_time.IMAGE_GB  # compressed
    min_seconds: float = 0  # of ours, until the offer ends
    time_scale: float = 1  # market seconds in one of ours
    needs: Needs = NOTHING_NEEDED  # why there are bounds of CUDA and capability

    @property
    def least_gpu_ram(self) -> float:
        """MB that a GPU must have: what is wished, and what the model needs."""
        return max(self.gpu_ram_mb, self.fit.least_mib if self.fit else 0)


@dataclass(frozen=True)
class Mismatch:
    """One wish that an offer fails: the config key, and the sentence that says by how much."""

    key: str
    text: str


def query(wishes: Requirements) -> dict[str, Any]:
    """Translate wishes into the body of `POST /bundles/`: flat filters, order, type, limit, storage to price in."""
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
        "cpu_ram": wishes.memory_gb * 1000,  # of the machine; the slice's share is looked at by `misses`
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
    """Ask for the same GPUs without any other bound, so that a refusal can name what came near."""
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


def usd_per_hour(offer: Offer, wishes: Requirements) -> float:
    """All-in $/h: GPUs, disk, and the weights' download spread over the hours that an instance is expected to live."""
    download = wishes.weights_gb * offer.inet_down_cost / wishes.expected_hours
    return offer.dph_base + disk_usd_per_hour(offer, wishes) + download


def disk_usd_per_hour(offer: Offer, wishes: Requirements) -> float:
    """Return $/h of the disk: all that an instance costs by the hour before it runs."""
    return wishes.disk_gb * offer.storage_cost / HOURS_A_MONTH


def image_usd(offer: Offer, wishes: Requirements) -> float:
    """Return $ for the traffic of pulling the image."""
    return wishes.image_gb * offer.inet_down_cost


def mismatches(offer: Offer, wishes: Requirements) -> list[Mismatch]:
    """Name every wish that the offer fails; an empty list means that it fits."""
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
    """Say whether a bound is kept; what is not known keeps none."""
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
    # Without the fact the bound stands: a machine that may be stopped any moment is not what was asked for.
    if offer.duration is None:
        return "does not say when it ends"
    return f"ends in {offer.duration / 86_400:.2g} days, of which the last does not count"


def expected_usd_per_hour(offer: Offer, wishes: Requirements, record: MachineHistory = NOTHING) -> float:
    """Price of an hour that works: all-in, with what is paid while it loads and downloads, and what fails, spread over it.

    While it loads, disk and the image's traffic are paid; while it downloads the weights it runs, and costs in full.
    What we have measured on the machine counts more than what it advertises.
    """
    mbps = record.believed_mbps(offer.inet_down)
    boot = record.believed_boot_seconds(start_time.pull_seconds(wishes.image_gb, mbps))
    loads = disk_usd_per_hour(offer, wishes) * boot / 3600 + image_usd(offer, wishes)
    runs = usd_per_hour(offer, wishes) * start_time.transfer_seconds(wishes.weights_gb, mbps) / 3600
    works = max(record.believed_reliability(offer.reliable), 0.01)
    return (usd_per_hour(offer, wishes) + (loads + runs) / wishes.expected_hours) / works


def rank(
    offers: Iterable[Offer],
    wishes: Requirements,
    records: Mapping[int, MachineHistory] | None = None,
    once: bool = True,
) -> list[Offer]:
    """Order the offers that fit, the best first: the expected price of an hour that works, then download speed.

    `records` by machine id is what the ledger knows. Of a machine in several slices the best appears, and all of them
    without `once`. GPUs that the model may not fit come after all that it fits.
    """
    known = records or {}
    fitting = sorted(
        (offer for offer in offers if not mismatches(offer, wishes)),
        key=lambda offer: (*_standing(offer, wishes, known), -offer.inet_down, offer.id),
    )
    best: dict[int, Offer] = {}
    for offer in fitting:
        best.setdefault(offer.machine_id if once else offer.id, offer)
    return list(best.values())


def choose(
    ranked: Sequence[Offer], wishes: Requirements, records: Mapping[int, MachineHistory], claimed: Mapping[int, int]
) -> Offer:
    """Return the offer to try of those in their order, of which others claim some (offer ids, with their machines).

    What others claim is as good as gone. Of offers at nearly the same price one on a machine of its own is taken, because
    neighbours share a line and fail together.
    """
    free = [one for one in ranked if one.id not in claimed] or list(ranked)
    tight, price = _standing(free[0], wishes, records)
    near = [one for one in free if _standing(one, wishes, records) <= (tight, price * NEAR)]
    return next((one for one in near if one.machine_id not in claimed.values()), free[0])


def _standing(offer: Offer, wishes: Requirements, records: Mapping[int, MachineHistory]) -> tuple[bool, float]:
    tight = wishes.fit is not None and wishes.fit.tight(offer.gpu_ram)
    return tight, expected_usd_per_hour(offer, wishes, records.get(offer.machine_id, NOTHING))
