"""Count the cost of instances, from the ledger alone: rents, starts and ends. Pure.

The market bills the disk until an instance runs, then its GPUs too, and traffic once. The event of an attempt that served
or was given back says its cost until then. From there on the count is time times price. Without such an event an
instance counts at its whole price from the rent call on, and with all its traffic.

The count is never too small, for a budget relies on it. The market may have billed before the rent's answer came. It
may have billed the GPUs for as long as its reads lag, before we saw the instance run. Both count at the whole price: about a
cent a start.

An instance that served counts as rented until a list lacks it. An unlisted one that never served counts for an hour after
its last event.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from providers.budget.period import HOUR, Period
from providers.ledger.event import Event, Outcome
from providers.vast.api.instance import Instance

# Events about money. The others are about the host.
COUNTED = frozenset(
    {Outcome.RENTED, Outcome.ADOPTED, Outcome.SERVED, Outcome.FAILED, Outcome.GIVEN_BACK, Outcome.ENDED}
)
FETCHED = frozenset({"fetch weights", "start", "probe"})  # phases after which the weights' traffic is paid
LAG_SECONDS = 90.0  # market seconds by which its reads are late at most
SILENT_SECONDS = 3600.0  # a host that no creator finished ends itself within this time after its last event


@dataclass(frozen=True)
class Rental:
    """One instance as the ledger tells it. Moments are unix seconds, prices $ an hour of ours.

    `start_usd` is its cost from `began` to `settled`. From there it costs `usd_per_hour`, None if no event says a price.
    `ended` is None while no end is known. `served`: a completion was answered. `last`: the newest event. `unseen_seconds`:
    from the rent call to its answer.
    """

    instance_id: int
    name: str
    began: float
    settled: float
    start_usd: float = 0.0
    usd_per_hour: float | None = None
    ended: float | None = None
    served: bool = False
    last: float = 0.0
    unseen_seconds: float = 0.0

    def usd_in(self, period: Period, now: float) -> float:
        """Return $ of a period until `now`. The cost of the start counts evenly over the start."""
        until = now if self.ended is None else min(now, self.ended)
        running = period.hours_of(self.settled, until) * (self.usd_per_hour or 0.0)
        length = (self.settled - self.began) / HOUR
        if length > 0:
            return running + self.start_usd * period.hours_of(self.began, self.settled) / length
        return running + self.start_usd * (period.begins <= self.began < period.ends)


def rentals_of(events: Iterable[Event], scale: float = 1.0) -> dict[int, Rental]:
    """Return each instance of the events by its id. Order and repeats do not matter.

    `scale`: seconds of the market, by which it charges, in one of ours.
    """
    counted = (event for event in events if event.outcome in COUNTED and event.instance_id is not None)
    unique = {(event.at, event.name, event.outcome, event.attempt, event.step): event for event in counted}
    found: dict[int, Rental] = {}
    for event in sorted(unique.values(), key=lambda each: (each.at, each.step)):
        number = event.instance_id or 0
        known = found.get(number) or _first(event, scale)
        found[number] = _after(known, event, scale)
    return found


def _first(event: Event, scale: float) -> Rental:
    if event.outcome is Outcome.ENDED:
        # The rent is older than the events that were read; the end says for how long the instance was rented.
        began = event.at - event.seconds
        return Rental(event.instance_id or 0, event.name, began, began, usd_per_hour=_price(event, scale))
    unseen = event.seconds if event.outcome is Outcome.RENTED else 0.0
    return Rental(
        event.instance_id or 0,
        event.name,
        event.at - unseen,
        event.at - unseen,
        event.image_usd + event.traffic_usd,
        _price(event, scale),
        last=event.at,
        unseen_seconds=unseen,
    )


def _after(known: Rental, event: Event, scale: float) -> Rental:
    known = replace(known, last=max(known.last, event.at), usd_per_hour=known.usd_per_hour or _price(event, scale))
    if event.outcome is Outcome.SERVED:
        served = replace(known, served=True)
        return _settled(served, event, event.traffic_usd, scale) if event.offer_id is not None else served
    if event.outcome is Outcome.GIVEN_BACK:
        traffic = event.traffic_usd if event.phase in FETCHED else 0.0
        rented = event.offer_id is not None and known.ended is None
        return replace(_settled(known, event, traffic, scale) if rented else known, ended=_earlier(known.ended, event))
    if event.outcome is Outcome.ENDED:
        return replace(known, ended=_earlier(known.ended, event))
    return known


def _settled(known: Rental, event: Event, traffic_usd: float, scale: float) -> Rental:
    """Return the rental with the cost that the attempt itself has counted until this event."""
    price, settled = known.usd_per_hour or 0.0, max(event.at, known.began)
    unseen = price * (known.unseen_seconds + LAG_SECONDS / scale) / HOUR
    counted = (event.usd - event.image_usd) * scale + unseen
    most = max(price, (event.usd_per_hour or 0.0) * scale) * (settled - known.began) / HOUR
    return replace(known, settled=settled, start_usd=min(counted, most) + event.image_usd + traffic_usd)


def _earlier(ended: float | None, event: Event) -> float:
    return event.at if ended is None else min(ended, event.at)


def _price(event: Event, scale: float) -> float | None:
    price = event.usd_per_hour if event.charged_usd_per_hour is None else event.charged_usd_per_hour
    return None if price is None else price * scale


def with_ends(
    rentals: Mapping[int, Rental],
    rows: Sequence[Instance],
    now: float,
    *,
    ended: Mapping[int, float] | None = None,
    missed: Mapping[int, float] | None = None,
    expected: Collection[int] = (),
    scale: float = 1.0,
) -> dict[int, Rental]:
    """Return the rentals with the ends and prices that are known beside the ledger, and the listed ones that it lacks.

    `rows` are the market's rows of this stack. `ended` are ends that no event tells yet, `missed` the moments at which a
    list first lacked an instance. `expected` are instances that are rented, though a list may lack them.
    """
    listed = {row.id: row for row in rows}
    found = {number: _known(one, listed, now, ended or {}, missed or {}, expected) for number, one in rentals.items()}
    for row in rows:
        price = row.dph_total * scale if row.dph_total else None  # the market leaves it out at times, or sends 0
        began = now if row.start_date is None else row.start_date
        known = found.get(row.id) or Rental(row.id, (row.label or "").rpartition("/")[2], began, began)
        end = (ended or {}).get(row.id) if known.ended is None else known.ended
        found[row.id] = replace(known, usd_per_hour=known.usd_per_hour if price is None else price, ended=end)
    return found


def _known(
    one: Rental,
    listed: Mapping[int, Instance],
    now: float,
    ended: Mapping[int, float],
    missed: Mapping[int, float],
    expected: Collection[int],
) -> Rental:
    if one.ended is not None:
        return one
    if one.instance_id in ended:
        return replace(one, ended=ended[one.instance_id])
    if one.instance_id in listed or one.instance_id in expected:
        return one
    if one.served:
        return replace(one, ended=missed.get(one.instance_id))
    return replace(one, ended=min(now, one.last + SILENT_SECONDS))


def spent_in(period: Period, rentals: Iterable[Rental], now: float) -> float:
    """Return $ of a period until `now` (unix seconds), of all rentals together."""
    return sum(one.usd_in(period, now) for one in rentals)
