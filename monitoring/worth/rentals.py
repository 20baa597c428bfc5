"""Reads the ledger's events as rentals: when each instance was paid for, when it served, and its cost. Pure.

The count is the budget's (`providers/budget/own_count.py`), so that both tell the same money. Here a rental also has a
doubt: why more may have been paid than is known.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from monitoring.instance_names import fleet_of
from providers.budget import own_count
from providers.ledger.event import Event, Outcome


@dataclass(frozen=True)
class Span:
    """A part of a rental within a window: its seconds, and its cost in $."""

    seconds: float = 0.0
    usd: float = 0.0


@dataclass(frozen=True)
class Rental:
    """One instance's time. Moments are unix seconds, prices $ an hour of ours.

    `served` is None if it never answered a completion. `until` is the last moment that is known to be paid. With `doubt`,
    more may have been paid: it says why. `usd_before` was paid until it served, or in all if it never did.
    """

    name: str
    instance_id: int
    rented: float
    served: float | None
    until: float
    usd_before: float
    usd_per_hour: float | None
    doubt: str = ""

    @property
    def fleet(self) -> str:
        """The fleet that it was rented for."""
        return fleet_of(self.name)

    def before(self, since: float, now: float) -> Span:
        """Return the paid time and its cost in a window before it served, or all of it if it never did."""
        end = self.until if self.served is None else self.served
        whole, seconds = end - self.rented, _overlap(self.rented, end, since, now)
        inside = since <= self.rented and end <= now
        return Span(seconds, self.usd_before * (1.0 if inside else seconds / whole if whole > 0 else 0.0))

    def after(self, since: float, now: float) -> Span:
        """Return the paid time and its cost in a window after it first served."""
        if self.served is None:
            return Span()
        seconds = _overlap(self.served, self.until, since, now)
        return Span(seconds, seconds / 3600 * (self.usd_per_hour or 0.0))


def rentals_of(
    events: Iterable[Event],
    now: float,
    listed: Collection[int] | None = None,
    scale: float = 1.0,
) -> list[Rental]:
    """Return one rental for each instance that the events name, sorted by beginning.

    `listed` are the ids that the market lists now; None if it does not answer. `scale`: seconds of the market in one of
    ours, by which it charges. `now`: unix seconds.
    """
    known = sorted(events, key=lambda one: (one.at, one.step))
    served: dict[int, float] = {}
    for event in known:
        if event.outcome is Outcome.SERVED and event.instance_id is not None:
            served.setdefault(event.instance_id, event.at)
    rented = {event.instance_id for event in known if event.outcome is Outcome.RENTED}
    found = [
        _rental(one, served.get(number), number in rented, now, listed)
        for number, one in own_count.rentals_of(known, scale).items()
    ]
    return sorted(found, key=lambda one: (one.rented, one.instance_id))


def _rental(
    one: own_count.Rental, served: float | None, begin_is_known: bool, now: float, listed: Collection[int] | None
) -> Rental:
    doubts = [] if begin_is_known else ["the ledger does not know when it was rented"]
    doubts += [] if one.usd_per_hour is not None else ["the ledger does not know its price"]
    if one.ended is not None:
        until = one.ended
    elif listed is not None and one.instance_id in listed:
        until = now
    else:
        until = max(one.began, one.last)
        silent = "the market does not answer" if listed is None else "the market lists it no more"
        doubts.append(f"the ledger does not know its end, and {silent}")
    until = max(until, served or one.began)
    edge = until if served is None else served
    rest = max(0.0, edge - one.settled) / 3600 * (one.usd_per_hour or 0.0)
    return Rental(
        name=one.name,
        instance_id=one.instance_id,
        rented=one.began,
        served=served,
        until=until,
        usd_before=one.start_usd + rest,
        usd_per_hour=one.usd_per_hour,
        doubt="; ".join(doubts),
    )


def _overlap(begin: float, end: float, since: float, now: float) -> float:
    return max(0.0, min(end, now) - max(begin, since))
