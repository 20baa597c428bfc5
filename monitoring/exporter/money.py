"""Adds up the market's charges by kind, and how much of them was wasted.

Pure functions. `drift` compares the charges with the cost that our own ledger counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from monitoring.exporter.attempts import Attempt
from monitoring.exporter.market_time import MarketTime
from providers.vast.api.instance import Instance
from providers.vast.api.responses import Charge
from providers.vast.api.spend import charged_total, charged_usd

KINDS = {"gpu": "gpu", "disk": "disk", "bwd": "traffic", "bwu": "traffic"}  # the market's word -> ours
COST_KINDS = ("gpu", "disk", "traffic")
WASTE_KINDS = ("failed", "orphan")
REAL_TIME = MarketTime()
IDLE = "idle"  # only of hosts that report: an instance with unknown use does not count as idle


@dataclass(frozen=True)
class Drift:
    """Charges over our own count of the same instances, less 1. `ratio` is None if no instance can be compared."""

    instances: int
    ratio: float | None


def cost(charges: Iterable[Charge]) -> dict[str, float]:
    """Return $ by our kinds; their sum is the bill. A kind of the market that we do not know counts as traffic."""
    total = dict.fromkeys(COST_KINDS, 0.0)
    for charge in charges:
        for kind, usd in charged_usd(charge).items():
            total[KINDS.get(kind, "traffic")] += usd
    return total


def waste(
    charges: Iterable[Charge],
    attempts: Sequence[Attempt],
    unused: Mapping[int, float] | None = None,
) -> dict[str, float]:
    """Return $ by kind of waste, a part of `cost`.

    failed: instances that never served. orphan: instances that no event names, if they were rented after the ledger
    began; the ledger may have dropped older ones. idle: of the other instances, the share of time in which they were ready
    and unused. `unused` has those seconds by instance id; without it the result has no `idle`.
    """
    served = {attempt.instance_id for attempt in attempts if attempt.served is not None}
    failed = {attempt.instance_id for attempt in attempts if attempt.failed} - served
    named = {attempt.instance_id for attempt in attempts}
    known_since = min((attempt.began for attempt in attempts), default=float("inf"))
    total = dict.fromkeys(WASTE_KINDS, 0.0) | ({} if unused is None else {IDLE: 0.0})
    for charge in charges:
        number = charge.instance_id or 0
        if number in failed:
            total["failed"] += charged_total(charge)
        elif number not in named and charge.start > known_since:
            total["orphan"] += charged_total(charge)
        elif unused and charge.end > charge.start:
            share = unused.get(number, 0.0) / (charge.end - charge.start)
            total[IDLE] += charged_total(charge) * min(1.0, share)
    return total


def drift(
    charges: Iterable[Charge],
    attempts: Iterable[Attempt],
    inventory: Iterable[Instance],
    now: float,
    time: MarketTime = REAL_TIME,
) -> Drift:
    """Compare the charges with our count, over instances whose rent and end the ledger knows or which are still rented.

    Traffic does not count, because only the market counts bytes. `now` is in unix seconds.
    """
    there = {instance.id for instance in inventory}
    ours: dict[int, float] = {}
    for attempt in attempts:
        if attempt.instance_id is None or attempt.rented_at is None:
            continue
        if attempt.given_back and attempt.instance_id not in there:
            ours[attempt.instance_id] = time.charged(attempt.usd)
            continue
        price = attempt.usd_per_hour if attempt.charged_usd_per_hour is None else attempt.charged_usd_per_hour
        until = now if attempt.instance_id in there else attempt.ended_at
        if until is not None and price is not None:
            # The market bills the GPU from when the instance runs. The disk costs little before that.
            runs = attempt.began + attempt.passed["wait"] if "wait" in attempt.passed else attempt.rented_at
            ours[attempt.instance_id] = time.charged(max(0.0, until - runs) / 3600 * price)
    theirs: dict[int, float] = {}
    for charge in charges:
        if charge.instance_id is not None and charge.instance_id in ours:
            theirs[charge.instance_id] = theirs.get(charge.instance_id, 0.0) + _rent(charge)
    counted = sum(ours[number] for number in theirs)
    return Drift(len(theirs), sum(theirs.values()) / counted - 1 if counted else None)


def _rent(charge: Charge) -> float:
    return sum(usd for kind, usd in charged_usd(charge).items() if KINDS.get(kind) != "traffic")
