"""The figures of a budget: spent, running, reserved, left; and whether one more rent fits. Pure.

    spent + running x hours left + open reservations + price x hours left + traffic <= budget

holds for the UTC day and the UTC month of the rent. Hours end sooner for an instance that ends itself by `maxHours`.
`spent` is the larger of our own count and the market's charges, if the key may read those.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from providers.budget.errors import SpendUnknown
from providers.budget.own_count import Rental, spent_in, with_ends
from providers.budget.period import DAY, HOUR, MONTH, Period, periods_of
from providers.budget.reservations import LATE_SECONDS, Book, Reservation, open_reservations
from providers.vast.api.instance import Instance

OWN, MARKET = "our own count", "the market's charges"


@dataclass(frozen=True)
class Terms:
    """A stack's budget. `usd` by period; a period without a budget is absent.

    `share` is the part of the budget that this renter may use. It counts only instances whose name `holds` accepts.
    `time_scale`: seconds of the market in one of ours.
    """

    usd: Mapping[str, float]
    share: float = 1.0
    holds: Callable[[str], bool] = field(default=lambda _name: True)
    time_scale: float = 1.0


@dataclass(frozen=True)
class BudgetFacts:
    """The facts of a stack's money at `now` (unix seconds).

    `rentals` are those of the ledger. `rows` are the market's rows of the stack, asked at `listed_at`. `charged` is $ by
    period as the market charges it, by the name in the label; None if the key may not read charges.
    """

    now: float
    rentals: Mapping[int, Rental]
    rows: Sequence[Instance]
    listed_at: float
    charged: Mapping[str, Mapping[str, float]] | None = None
    settle_seconds: float = 90.0


@dataclass(frozen=True)
class Figures:
    """One period in US dollars.

    `running` and `reserved`: the most that running and reserved instances may still cost until the period ends. `own` and
    `charged` are the two counts of `spent`. `usd_per_hour` is the rate of all that runs or is reserved.
    """

    period: str
    budget: float
    own: float
    charged: float | None
    running: float
    reserved: float
    hours_left: float
    usd_per_hour: float

    @property
    def spent(self) -> float:
        """The count that holds: the larger one."""
        return max(self.own, self.charged or 0.0)

    @property
    def counted_by(self) -> str:
        """Which count holds."""
        return MARKET if self.charged is not None and self.charged > self.own else OWN

    @property
    def left(self) -> float:
        """The budget less spend and promises; below 0 if more is promised than the budget allows."""
        return self.budget - self.spent - self.running - self.reserved

    @property
    def hours_to_go(self) -> float | None:
        """Hours until the budget is used up at the present rate; None if that is not before the period's end."""
        if self.usd_per_hour <= 0:
            return None
        hours = max(0.0, self.budget - self.spent) / self.usd_per_hour
        return hours if hours < self.hours_left else None


class Promises(NamedTuple):
    """The running and the reserved instances at one moment."""

    rentals: Mapping[int, Rental]
    running: Mapping[int, tuple[float, float | None]]  # $ an hour of ours, and the moment at which it ends itself
    reserved: Mapping[str, Reservation]


def promises(facts: BudgetFacts, book: Book, terms: Terms) -> Promises:
    """Return the stack's rentals and reservations. Raises SpendUnknown if the price of an instance is unknown."""
    known = {one.instance_id: one for one in book.reservations.values() if one.instance_id is not None}
    reserved_only = {number: _rental(number, one) for number, one in known.items() if number not in facts.rentals}
    rentals = {**reserved_only, **facts.rentals}
    # A row without a label is ours if we know its number.
    rows = [row for row in facts.rows if row.label or row.id in rentals]
    ended = {**{one.instance_id: one.ended for one in rentals.values() if one.ended is not None}, **book.ended}
    # A list may still show an instance that ended a moment ago.
    late = facts.now - LATE_SECONDS / terms.time_scale
    there = [row for row in rows if ended.get(row.id, 0.0) <= late]
    shown = {row.id for row in there}
    gone = {number: at for number, at in ended.items() if number not in shown}
    reserved = open_reservations(book, there, gone, facts.now, facts.listed_at - facts.settle_seconds)
    rentals = with_ends(
        rentals,
        rows,
        facts.now,
        ended=book.ended,
        missed=book.missed,
        expected={one.instance_id for one in reserved.values() if one.instance_id is not None},
        scale=terms.time_scale,
    )
    running = {row.id: _running(row, rentals[row.id], known.get(row.id)) for row in there}
    return Promises(rentals, running, reserved)


def _rental(number: int, one: Reservation) -> Rental:
    """Return the rental of a reservation whose events are not read yet."""
    return Rental(number, one.name, one.at, one.at, one.once_usd, one.usd_per_hour, last=one.at)


def _running(row: Instance, rental: Rental, promised: Reservation | None) -> tuple[float, float | None]:
    price = rental.usd_per_hour or (promised.usd_per_hour if promised else None)
    if price is None:
        raise SpendUnknown(
            f"the market lists instance {row.id} without a price, and the ledger has none either. Nothing more is "
            "rented until one of them says it. Run `pulumi up` again, or look with `gpu-fleet sweep`."
        )
    most = promised.max_hours if promised else None
    return price, None if most is None or row.start_date is None else row.start_date + most * HOUR


def figures(facts: BudgetFacts, found: Promises, terms: Terms) -> tuple[Figures, ...]:
    """Return the figures of each period that has a budget."""
    held = [one for one in found.rentals.values() if terms.holds(one.name)]
    running = [found.running[one.instance_id] for one in held if one.instance_id in found.running]
    reserved = [one for one in found.reserved.values() if terms.holds(one.name)]
    rate = sum(price for price, _ends in running) + sum(one.usd_per_hour for one in reserved)
    return tuple(
        Figures(
            period.name,
            terms.usd[period.name] * terms.share,
            spent_in(period, held, facts.now),
            _charged(facts, period, terms),
            sum(price * _hours(period, facts.now, ends) for price, ends in running),
            sum(_reserved(one, period, facts.now) for one in reserved),
            period.hours_left(facts.now),
            rate,
        )
        for period in periods_of(facts.now)
        if period.name in terms.usd
    )


def _reserved(one: Reservation, period: Period, now: float) -> float:
    """Return the most that a reservation may still cost. Once its instance is known, its cost so far counts as spent."""
    if one.instance_id is None:
        return one.usd(period.hours_left(one.at))
    ends = None if one.max_hours is None else one.at + one.max_hours * HOUR
    return one.usd_per_hour * _hours(period, now, ends)


def _charged(facts: BudgetFacts, period: Period, terms: Terms) -> float | None:
    if facts.charged is None:
        return None
    return sum(usd for name, usd in facts.charged.get(period.name, {}).items() if terms.holds(name))


def _hours(period: Period, now: float, ends: float | None) -> float:
    """Return the hours that an instance may still run in a period. One that should have ended by now may run on."""
    left = period.hours_left(now)
    return left if ends is None or ends <= now else min(left, (ends - now) / HOUR)


def cost_by_period(one: Reservation, rows: Iterable[Figures]) -> dict[str, float]:
    """Return the most that a rent may cost until each period ends, in $ by period."""
    return {row.period: one.usd(row.hours_left) for row in rows}


def does_not_fit(one: Reservation, rows: Sequence[Figures]) -> Figures | None:
    """Return the period whose budget the rent could pass by most; None if it fits all of them."""
    over = {row.period: one.usd(row.hours_left) - row.left for row in rows}
    worst = max(rows, key=lambda row: over[row.period], default=None)
    return worst if worst is not None and over[worst.period] > 1e-9 else None


def now_missed(facts: BudgetFacts, book: Book, found: Promises) -> Book:
    """Return the book with the moment at which the market first lacked an instance whose end no event tells."""
    lost = [
        one.instance_id
        for one in found.rentals.values()
        if one.served and one.ended is None and one.instance_id not in found.running
    ]
    expected = {one.instance_id for one in found.reserved.values()}
    fresh = {number: facts.listed_at for number in lost if number not in expected and number not in book.missed}
    back = {number: at for number, at in book.missed.items() if number not in found.running}
    if not fresh and len(back) == len(book.missed):
        return book
    return book.model_copy(update={"missed": {**back, **fresh}})


KEYS = {DAY: "usdPerDay", MONTH: "usdPerMonth"}
