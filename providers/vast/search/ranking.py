"""Rank the offers that fit, and choose the one to try; pure."""

from collections.abc import Iterable, Mapping, Sequence

from providers.ledger.machine_history import NOTHING, MachineHistory
from providers.vast.api.offer import Offer
from providers.vast.search.mismatches import mismatches
from providers.vast.search.prices import expected_usd_per_hour
from providers.vast.search.requirements import Requirements

NEAR = 1.05  # times the best expected price counts as nearly the same price


def rank(
    offers: Iterable[Offer],
    requirements: Requirements,
    records: Mapping[int, MachineHistory] | None = None,
    one_per_machine: bool = True,
) -> list[Offer]:
    """Return the offers that fit, best first: by the expected price of a working hour, then by download speed.

    `records` is the ledger's knowledge by machine id. With `one_per_machine`, a machine with several slices
    appears once, with its best slice; else with all of them. GPUs that may be too small for the model come after all others.
    """
    known = records or {}
    fitting = sorted(
        (offer for offer in offers if not mismatches(offer, requirements)),
        key=lambda offer: (*_standing(offer, requirements, known), -offer.inet_down, offer.id),
    )
    best: dict[int, Offer] = {}
    for offer in fitting:
        best.setdefault(offer.machine_id if one_per_machine else offer.id, offer)
    return list(best.values())


def choose(
    ranked: Sequence[Offer],
    requirements: Requirements,
    records: Mapping[int, MachineHistory],
    claimed: Mapping[int, int],
) -> Offer:
    """Return the offer to try from `ranked`. `claimed` maps offer ids that others claim to their machines.

    A claimed offer counts as gone. Among offers at nearly the same price, one on an unclaimed machine wins, because
    instances on one machine share a line and fail together.
    """
    free = [one for one in ranked if one.id not in claimed] or list(ranked)
    may_be_too_small, price = _standing(free[0], requirements, records)
    near = [one for one in free if _standing(one, requirements, records) <= (may_be_too_small, price * NEAR)]
    return next((one for one in near if one.machine_id not in claimed.values()), free[0])


def _standing(offer: Offer, requirements: Requirements, records: Mapping[int, MachineHistory]) -> tuple[bool, float]:
    may_be_too_small = requirements.fit is not None and requirements.fit.may_be_too_small(offer.gpu_ram)
    return may_be_too_small, expected_usd_per_hour(offer, requirements, records.get(offer.machine_id, NOTHING))
