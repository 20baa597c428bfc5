"""Say what rents may cost, by the stack's budgets, its spend, and the reservations of rents under way.

Each slot's own create reserves its money before it rents, in the book that people's updates use, too. That keeps the budget.
The purse keeps the loop from starting rents that the budget would refuse: it counts every slot at its ceiling. A thread reads
spend and reservations every few minutes, so that no tick waits for them. While spend is unknown, the loop rents nothing more.
A stack without a budget, or whose budget only observes, asks for nothing.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from config.monitoring import BudgetConfig
from controller.money import Money, Period, Spend
from controller.ports import Clock, Fleet, SlotId
from controller.slots import Slot
from providers.budget.figures import Figures, Promises
from providers.budget.period import periods_of
from providers.vast.api.errors import VastError

EVERY_SECONDS = 300.0
OLDEST_SECONDS = 3600.0  # older spend is unknown

Look = tuple[Sequence[Figures], Promises]


@dataclass(frozen=True)
class Reading:
    """The budgets of slots and the stack's spend, in $ by period; the open reservations; and the moment of the question.

    Reservations are $ an hour by an instance's name. Slots may use all of a budget, or a part if the store cannot keep one
    book.
    """

    budgets: Mapping[str, float]
    usd: Mapping[str, float]
    reserved: Mapping[str, float]
    asked: float


class SpendReadings:
    """Read the stack's spend and its open reservations again and again.

    `look` asks for them; it returns None while the account is unknown, and may raise VastError.
    """

    def __init__(self, look: Callable[[], Look | None], clock: Clock) -> None:
        self._look, self._clock = look, clock
        self._reading: Reading | None = None
        self._guard = threading.Lock()

    def read(self) -> bool:
        """Ask once; say whether there was an answer."""
        asked = self._clock.monotonic()
        try:
            found = self._look()
        except VastError:
            return False
        if found is None:
            return False
        rows, promises = found
        reserved: dict[str, float] = {}
        for one in promises.reserved.values():
            reserved[one.name] = reserved.get(one.name, 0.0) + one.usd_per_hour
        with self._guard:
            budgets, spent = {row.period: row.budget for row in rows}, {row.period: row.spent for row in rows}
            self._reading = Reading(budgets, spent, reserved, asked)
        return True

    def of(self, period: str) -> Spend | None:
        """Return the spend of a period; None if it is unknown."""
        with self._guard:
            reading = self._reading
        age = self._clock.monotonic() - reading.asked if reading else OLDEST_SECONDS + 1
        if reading is None or age > OLDEST_SECONDS or period not in reading.usd:
            return None
        return Spend(reading.usd[period], age)

    def allowed(self, period: str, budget: float) -> float:
        """Return the part of a period's budget that slots may use."""
        with self._guard:
            reading = self._reading
        return min(budget, reading.budgets.get(period, budget)) if reading else budget

    def reserved(self, but: Collection[str]) -> float:
        """Return $ an hour of the reservations of all instances but these."""
        with self._guard:
            reading = self._reading
        return sum(usd for name, usd in reading.reserved.items() if name not in but) if reading else 0.0


class StackPurse:
    """Satisfies `Purse`. `budget` is that of the applied stack; it may raise WorldUnavailable.

    `others` returns $/h of all that the account rents but some places, None if it is unknown. `time_scale` returns seconds of
    the market, in which it charges, in one of ours; 1 on the real market. `name` returns the name of a place's instance.
    """

    def __init__(
        self,
        budget: Callable[[], BudgetConfig],
        spending: SpendReadings,
        others: Callable[[Sequence[SlotId]], float | None],
        clock: Clock,
        time_scale: Callable[[], float] = lambda: 1.0,
        name: Callable[[SlotId], str] = lambda place: f"{place.fleet}-s{place.slot}",
    ) -> None:
        self._budget, self._spending, self._others, self._clock = budget, spending, others, clock
        self._time_scale, self._name = time_scale, name
        self._past: dict[str, list[tuple[float, int, float]]] = {}  # fleet -> (moment, its slots, $/h of the others)

    def money(self, fleet: str, applied: Mapping[str, Fleet], rows: Mapping[str, Sequence[Slot]]) -> Money:
        """Return budgets and spend, with all other slots at their ceilings and all else at its price."""
        own, budget, scale = applied[fleet], self._budget(), self._time_scale()
        wanted = budget.by_period
        if not wanted or not budget.enforce:
            return Money(own.ceiling)
        paid = [SlotId(name, slot.index) for name, found in rows.items() for slot in found if slot.paid]
        rest = self._others(paid)
        dearest = max(one.ceiling for one in applied.values())
        ceilings = [applied[place.fleet].ceiling if place.fleet in applied else dearest for place in paid]
        beside = sum(usd for place, usd in zip(paid, ceilings, strict=True) if place.fleet != fleet)
        most, beside_most = self._most(fleet, applied, rows, beside)
        ends = hours_left(self._clock.time())
        periods = [
            Period(
                name, self._spending.allowed(name, usd), ends[name], None if rest is None else self._spending.of(name)
            )
            for name, usd in wanted.items()
        ]
        reserved = self._spending.reserved({self._name(place) for place in paid})
        others, others_most = ((usd + (rest or 0.0)) * scale + reserved for usd in (beside, beside_most))
        return Money(own.ceiling * scale, tuple(periods), others, own.life_hours, others_most, most)

    def _most(
        self, fleet: str, applied: Mapping[str, Fleet], rows: Mapping[str, Sequence[Slot]], beside: float
    ) -> tuple[int, float]:
        """Return the most slots of a fleet, and the most $/h of the others, that may have been rented since spend was read.

        Other controllers decide within the same bounds. Bounds that were larger before are remembered.
        """
        now, paid = self._clock.monotonic(), sum(slot.paid for slot in rows.get(fleet, ()))
        bounds = sum(one.elastic.max * one.ceiling for name, one in applied.items() if name != fleet)
        kept = [past for past in self._past.get(fleet, ()) if now - past[0] <= OLDEST_SECONDS]
        kept.append((now, max(paid, applied[fleet].elastic.max), max(beside, bounds)))
        # Drop entries that the newest one equals or exceeds in both figures: they cannot raise the maximum.
        self._past[fleet] = [one for one in kept if one[0] == now or one[1] > kept[-1][1] or one[2] > kept[-1][2]]
        ages = [spend.age_seconds for name in ("day", "month") if (spend := self._spending.of(name)) is not None]
        since = now - max(ages, default=OLDEST_SECONDS)
        recent = [one for one in kept if one[0] >= since] or kept[-1:]
        return max(one[1] for one in recent), max(one[2] for one in recent)


def hours_left(wall: float) -> dict[str, float]:
    """Return the hours until the UTC day and month of a moment (unix seconds) end."""
    return {period.name: period.hours_left(wall) for period in periods_of(wall)}
