"""Adds the ledger's events up to rentals: when each instance was paid for, when it served, and what it cost. Pure.

An instance may appear in several attempts: the one that rented it, and later ones that adopted it. It is one rental.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from monitoring.instance_names import fleet_of
from providers.ledger.event import Event, Outcome


@dataclass(frozen=True)
class Span:
    """A part of a rental within a window: its seconds, and its cost in $."""

    seconds: float = 0.0
    usd: float = 0.0


@dataclass(frozen=True)
class Rental:
    """One instance's time. Moments are unix seconds, prices $ an hour of ours, all-in.

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
        """Return what was paid in a window before it served, or in all if it never did."""
        end = self.until if self.served is None else self.served
        whole, seconds = end - self.rented, _overlap(self.rented, end, since, now)
        inside = since <= self.rented and end <= now
        return Span(seconds, self.usd_before * (1.0 if inside else seconds / whole if whole > 0 else 0.0))

    def after(self, since: float, now: float) -> Span:
        """Return what was paid in a window after it first served."""
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
    by_instance: dict[int, list[Event]] = {}
    for event in sorted(events, key=lambda one: (one.at, one.step)):
        if event.instance_id is not None:
            by_instance.setdefault(event.instance_id, []).append(event)
    found = [_rental(number, known, now, listed, scale) for number, known in by_instance.items()]
    return sorted(found, key=lambda one: (one.rented, one.instance_id))


def _rental(number: int, events: list[Event], now: float, listed: Collection[int] | None, scale: float) -> Rental:
    begins = [event.at for event in events if event.outcome is Outcome.RENTED]
    serving = [event.at for event in events if event.outcome is Outcome.SERVED]
    ends = [event.at for event in events if event.outcome in (Outcome.ENDED, Outcome.GIVEN_BACK)]
    prices = [event.usd_per_hour for event in events if event.usd_per_hour is not None]
    doubts = [] if begins else ["the ledger does not know when it was rented"]
    doubts += [] if prices else ["the ledger does not know its price"]
    if ends:
        until = ends[0]
    elif listed is not None and number in listed:
        until = now
    else:
        until = events[-1].at
        silent = "the market does not answer" if listed is None else "the market lists it no more"
        doubts.append(f"the ledger does not know its end, and {silent}")
    rented = begins[0] if begins else min(until, events[0].at - events[0].seconds)
    served = serving[0] if serving else None
    price = prices[-1] if prices else None
    return Rental(
        name=events[0].name,
        instance_id=number,
        rented=rented,
        served=served,
        until=max(until, served or rented),
        usd_before=_before(events, rented, served, until, price) * scale,
        usd_per_hour=None if price is None else price * scale,
        doubt="; ".join(doubts),
    )


def _before(events: list[Event], rented: float, served: float | None, until: float, price: float | None) -> float:
    """Return $ until the instance served, or in all if it never did. The market bills the GPU once it runs."""
    known = [event for event in events if served is None or event.at <= served]
    paid = max(event.usd for event in known)
    if price is None:
        return paid
    if any(event.outcome is Outcome.ADOPTED for event in known):  # whose events count from the adoption on
        return max(paid, ((until if served is None else served) - rented) / 3600 * price)
    told = [event for event in known if event.outcome is not Outcome.ENDED]
    runs = any(event.outcome is Outcome.PASSED and event.phase == "wait" for event in told)
    if served is None and runs and told[-1].outcome is not Outcome.GIVEN_BACK:
        return told[-1].usd + max(0.0, until - told[-1].at) / 3600 * price
    return paid


def _overlap(begin: float, end: float, since: float, now: float) -> float:
    return max(0.0, min(end, now) - max(begin, since))
