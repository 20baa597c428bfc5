"""What the fleet costs, out of what the market charged, pure: by kind, by day and month, what of it was wasted, and how
far our own count is off.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from monitoring.exporter.attempts import Attempt
from monitoring.exporter.market_time import MarketTime
from monitoring.exporter.sources import KINDS, Charged, Rented

COST_KINDS = ("gpu", "disk", "traffic")
WASTE_KINDS = ("failed", "orphan")
REAL_TIME = MarketTime()
IDLE = "idle"  # is told where hosts report: unknown never means idle


@dataclass(frozen=True)
class Drift:
    """How our own count compares with the charges of the same instances. `ratio` is None where none can be compared."""

    instances: int
    ratio: float | None


def cost(charges: Iterable[Charged]) -> dict[str, float]:
    """Return $ by kind; their sum is the bill. A kind that the market has and we do not know counts as traffic."""
    total = dict.fromkeys(COST_KINDS, 0.0)
    for charge in charges:
        for kind, usd in charge.usd.items():
            total[KINDS.get(kind, "traffic")] += usd
    return total


def waste(
    charges: Iterable[Charged],
    attempts: Sequence[Attempt],
    unused: Mapping[int, float] | None = None,
) -> dict[str, float]:
    """Return $ by kind of waste, a part of `cost`.

    failed: instances that never served. orphan: those that no event names, rented after the ledger began: what is older may
    have been forgotten by it. idle: of the others, the share of their time in which they were ready and unused, which
    `unused` tells in seconds by instance; without it nothing is said of idleness.
    """
    served = {attempt.instance_id for attempt in attempts if attempt.served is not None}
    failed = {attempt.instance_id for attempt in attempts if attempt.failed} - served
    named = {attempt.instance_id for attempt in attempts}
    known_since = min((attempt.began for attempt in attempts), default=float("inf"))
    total = dict.fromkeys(WASTE_KINDS, 0.0) | ({} if unused is None else {IDLE: 0.0})
    for charge in charges:
        if charge.instance_id in failed:
            total["failed"] += charge.total
        elif charge.instance_id not in named and charge.start > known_since:
            total["orphan"] += charge.total
        elif unused and charge.end > charge.start:
            share = unused.get(charge.instance_id, 0.0) / (charge.end - charge.start)
            total[IDLE] += charge.total * min(1.0, share)
    return total


def spent(charges: Iterable[Charged], now: float) -> dict[str, float]:
    """Return $ of the UTC day and month of `now`; a charge counts evenly over its time."""
    rows = list(charges)
    moment = datetime.fromtimestamp(now, UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    begins = {"day": midnight.timestamp(), "month": midnight.replace(day=1).timestamp()}
    return {period: sum(_since(charge, begin) for charge in rows) for period, begin in begins.items()}


def drift(
    charges: Iterable[Charged],
    attempts: Iterable[Attempt],
    inventory: Iterable[Rented],
    now: float,
    time: MarketTime = REAL_TIME,
) -> Drift:
    """Compare instances whose rent we saw begin, and whose end we saw or that are still there.

    Traffic is left out: only the market counts bytes. `time`: the market's, by which it charges.
    """
    there = {rented.instance_id for rented in inventory}
    ours: dict[int, float] = {}
    for attempt in attempts:
        if attempt.instance_id is None or attempt.rented_at is None:
            continue
        if attempt.given_back and attempt.instance_id not in there:
            ours[attempt.instance_id] = time.charged(attempt.usd)
        elif attempt.instance_id in there and attempt.usd_per_hour is not None:
            # The GPU is billed from when the instance runs; what the disk costs before that is little.
            runs = attempt.began + attempt.passed["wait"] if "wait" in attempt.passed else attempt.rented_at
            ours[attempt.instance_id] = time.charged((now - runs) / 3600 * attempt.usd_per_hour)
    theirs: dict[int, float] = {}
    for charge in charges:
        if charge.instance_id in ours:
            theirs[charge.instance_id] = theirs.get(charge.instance_id, 0.0) + _rent(charge)
    counted = sum(ours[number] for number in theirs)
    return Drift(len(theirs), sum(theirs.values()) / counted - 1 if counted else None)


def _rent(charge: Charged) -> float:
    return sum(usd for kind, usd in charge.usd.items() if KINDS.get(kind) != "traffic")


def _since(charge: Charged, begin: float) -> float:
    length = charge.end - charge.start
    share = min(1.0, max(0.0, charge.end - begin) / length) if length > 0 else float(charge.end >= begin)
    return charge.total * share
