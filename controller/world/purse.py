"""What rents may cost: the stack's budgets, and the spend of the account as the market charges it.

A thread reads the charges every few minutes, so that no tick waits for them. Spend that cannot be read is unknown, and then
nothing more is rented. A stack without a budget asks for no charges.
"""

import calendar
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from config.monitoring import BudgetConfig
from controller.money import Money, Period, Spend
from controller.ports import Clock, Fleet, Place
from controller.slots import Slot
from providers.vast.api.charge_cache import ChargeCache
from providers.vast.api.errors import VastError
from providers.vast.api.responses import Charge
from providers.vast.api.spend import spent

EVERY_SECONDS = 300.0
OLDEST_SECONDS = 3600.0  # older spend is unknown
LONGEST_MONTH_SECONDS = 32 * 86_400.0

Charges = Callable[[float, float], Sequence[Charge]]


@dataclass(frozen=True)
class Reading:
    """What the market has charged by period, and when it was asked, by the monotonic clock."""

    usd: Mapping[str, float]
    asked: float


class Spending:
    """Read the account's spend again and again. `charges` returns the market's charges between two unix moments."""

    def __init__(self, charges: Callable[[], Charges | None], clock: Clock) -> None:
        self._charges, self._clock = charges, clock
        self._reading: Reading | None = None
        self._cache: tuple[Charges, ChargeCache] | None = None
        self._guard = threading.Lock()

    def read(self) -> bool:
        """Ask the market once; say whether it answered."""
        charges = self._charges()
        if charges is None:
            return False
        if self._cache is None or self._cache[0] is not charges:
            since = self._clock.time() - LONGEST_MONTH_SECONDS
            self._cache = (charges, ChargeCache(charges, since, self._clock.time))
        asked = self._clock.monotonic()
        try:
            usd = spent(self._cache[1](), self._clock.time())
        except VastError:
            return False
        with self._guard:
            self._reading = Reading(usd, asked)
        return True

    def of(self, period: str) -> Spend | None:
        """Return the spend of a period; None if it is unknown."""
        with self._guard:
            reading = self._reading
        age = self._clock.monotonic() - reading.asked if reading else OLDEST_SECONDS + 1
        if reading is None or age > OLDEST_SECONDS:
            return None
        return Spend(reading.usd[period], age)


class StackPurse:
    """Satisfies `Purse`. `budget` is that of the applied stack; it may raise Unavailable.

    `others` returns $/h of all that the account rents but some places, None if it is unknown. `time_scale` returns seconds of
    the market, in which it charges, in one of ours; 1 on the real market.
    """

    def __init__(
        self,
        budget: Callable[[], BudgetConfig],
        spending: Spending,
        others: Callable[[Sequence[Place]], float | None],
        clock: Clock,
        time_scale: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self._budget, self._spending, self._others, self._clock = budget, spending, others, clock
        self._time_scale = time_scale

    def money(self, fleet: str, applied: Mapping[str, Fleet], rows: Mapping[str, Sequence[Slot]]) -> Money:
        """Return budgets and spend, with all other slots at their ceilings and all else at its price."""
        own, budget, scale = applied[fleet], self._budget(), self._time_scale()
        wanted = {"day": budget.usd_per_day, "month": budget.usd_per_month}
        if not any(wanted.values()):
            return Money(own.ceiling)
        paid = [Place(name, slot.index) for name, found in rows.items() for slot in found if slot.paid]
        rest = self._others(paid)
        dearest = max(one.ceiling for one in applied.values())
        ceilings = [applied[place.fleet].ceiling if place.fleet in applied else dearest for place in paid]
        beside = sum(usd for place, usd in zip(paid, ceilings, strict=True) if place.fleet != fleet)
        ends = hours_left(self._clock.time())
        periods = [
            Period(name, usd, ends[name], None if rest is None else self._spending.of(name))
            for name, usd in wanted.items()
            if usd > 0
        ]
        return Money(own.ceiling * scale, tuple(periods), (beside + (rest or 0.0)) * scale, own.life_hours)


def hours_left(wall: float) -> dict[str, float]:
    """Return the hours until the UTC day and month of a moment (unix seconds) end."""
    now = datetime.fromtimestamp(wall, UTC)
    day = 24 - now.hour - now.minute / 60 - now.second / 3600
    days = calendar.monthrange(now.year, now.month)[1] - now.day
    return {"day": day, "month": days * 24 + day}
