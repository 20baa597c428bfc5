"""Tell which offers can still bring an instance online before a deadline; pure."""

from collections.abc import Mapping, Sequence

from providers.ledger.machine_history import NOTHING, MachineHistory
from providers.vast.api.offer import Offer
from providers.vast.limits import Limits
from providers.vast.search import start_time
from providers.vast.search.requirements import Requirements


def least_seconds(
    offer: Offer, requirements: Requirements, record: MachineHistory = NOTHING, time_scale: float = 1.0
) -> float:
    """Return the least seconds of an attempt at the advertised rate: image and weights, without any start.

    A measurement on the machine counts if it is shorter. `time_scale` divides the part that runs by the market's clock.
    """
    boot = min([start_time.pull_seconds(requirements.image_gb, offer.inet_down), *record.boot_seconds])
    weights = start_time.transfer_seconds(requirements.weights_gb, max([offer.inet_down, *record.download_mbps]))
    return boot / time_scale + weights


def in_time(
    ranked: Sequence[Offer],
    requirements: Requirements,
    records: Mapping[int, MachineHistory],
    limits: Limits,
    left: float,
) -> list[Offer]:
    """Return the offers that can be online within `left` seconds, in the given order."""
    return [one for one in ranked if _least(one, requirements, records, limits) <= left]


def too_late(
    ranked: Sequence[Offer],
    requirements: Requirements,
    records: Mapping[int, MachineHistory],
    limits: Limits,
    left: float,
) -> str:
    """Return the sentence for the operator if no offer can be online in time, with the config keys to change."""
    least = min(_least(one, requirements, records, limits) for one in ranked)
    return (
        f"nothing was rented, because no machine that fits can end in the {max(left, 0) / 60:.0f} min that are left of "
        f"limits.totalMinutes ({limits.total_seconds / 60:.0f}): the fastest needs {least / 60:.0f} min at the least for "
        "image and weights. Raise limits.totalMinutes, or downloadMbps"
    )


def _least(offer: Offer, requirements: Requirements, records: Mapping[int, MachineHistory], limits: Limits) -> float:
    return least_seconds(offer, requirements, records.get(offer.machine_id, NOTHING), limits.time_scale)
