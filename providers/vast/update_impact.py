"""Describe an update's effect on a fleet's clients and price in one sentence. Pure rules."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from providers.vast.update_effects import Effect, about

LEAST_DOLLARS = 0.0005
HOURS = {"day": 24.0, "month": 730.0}
Price = float | None  # in $/h; None if unknown


@dataclass
class FleetImpact:
    """Known facts of one fleet so far.

    `prices` are those of the instances that stay; `before` also has the replaced ones. `coming` are instances to rent.
    `awaited` are those whose offers are not looked at yet. `offered` are the prices on offer, ascending. `budget` is the
    most that all fleets of the stack together may cost, in $ by period.
    """

    members: int
    most_down: int
    effects: dict[str, Effect] = field(default_factory=dict)
    before: dict[str, Price] = field(default_factory=dict)
    prices: dict[str, Price] = field(default_factory=dict)
    coming: set[str] = field(default_factory=set)
    awaited: set[str] = field(default_factory=set)
    offered: Sequence[float] = ()
    budget: Mapping[str, float] = field(default_factory=dict)
    is_reported: bool = False

    def record_running(self, name: str, effect: Effect | None, usd_per_hour: Price) -> None:
        """Record a running instance and its change; None for no change."""
        self.before[name] = usd_per_hour
        if effect is not None:
            self.effects[name] = effect
        if effect is not None and effect.replaces:
            self.awaited.add(name)
        else:
            self.prices[name] = usd_per_hour

    def record_adopted(self, name: str, usd_per_hour: Price) -> None:
        """Record an instance that the market has and the state does not."""
        self.prices[name] = usd_per_hour

    def record_rental(self, name: str, offered: Sequence[float]) -> None:
        """Record an instance to rent, and the prices on offer."""
        self.awaited.discard(name)
        self.prices.pop(name, None)
        self.coming.add(name)
        self.offered = sorted(offered)

    def sentence(self) -> str:
        """Return the sentence once, if all facts are known; empty before, after, or if clients notice nothing."""
        if self.is_reported or self.awaited or len(self.prices.keys() | self.coming) < self.members:
            return ""
        self.is_reported = True
        parts = [*self._closing(), *self._new()]
        return "; ".join([*parts, self._price()]) if parts else ""

    def _closing(self) -> list[str]:
        kinds: dict[str, list[Effect]] = {}
        for effect in self.effects.values():
            kinds.setdefault(effect.why if effect.closes else "", []).append(effect)
        return [self._kind(why, each) for why, each in sorted(kinds.items(), reverse=True)]

    def _kind(self, why: str, each: list[Effect]) -> str:
        count, of = len(each), f"{len(each)} of {self.members}"
        if not why:
            return f"{of} change with the endpoint open"
        at_once = min(count, self.most_down)
        known = [effect.seconds for effect in each]
        longest = None if None in known else max(seconds or 0.0 for seconds in known)
        waves = math.ceil(count / at_once)
        whole = "" if longest is None or waves == 1 else f"{about(longest * waves)} in all"
        pace = f"{count} of {self.members} at once" if waves == 1 else f"{of}, {at_once} at a time"
        return f"endpoint closed {why}{about(longest)}: {pace}{whole}"

    def _new(self) -> list[str]:
        new = len(self.coming - self.effects.keys())
        return [] if not new else [f"{new} more {'comes' if new == 1 else 'come'}" if self.before else f"{new} to rent"]

    def _price(self) -> str:
        """Return the price now and then, the best offer, and the fleet's part of the budget."""
        rented = self._cheapest(len(self.coming))
        fixed = list(self.prices.values())
        best = [f"best offer ${self.offered[0]:.3f}/h"] if self.coming and self.offered else []
        if None in fixed or rented is None:
            return "; ".join(["what the fleet then costs is not known", *best])
        then, now = sum(price or 0.0 for price in fixed) + rented, list(self.before.values())
        sentence = f"the fleet then costs {'about ' if self.coming else ''}${then:.3f}/h"
        if now and None not in now:
            today = sum(price or 0.0 for price in now)
            sentence += "" if abs(today - then) < LEAST_DOLLARS else f", now ${today:.3f}/h"
        return "; ".join([sentence, *best, *self._share(then)])

    def _share(self, usd_per_hour: float) -> list[str]:
        """Return the fleet's part of each budget of the stack, if it always runs."""
        takes = [
            f"${usd_per_hour * HOURS[period]:,.2f} of ${usd:,.2f} a {period}" for period, usd in self.budget.items()
        ]
        return [f"of the budget {' and '.join(takes)}"] if takes else []

    def _cheapest(self, count: int) -> Price:
        if not count:
            return 0.0
        if not self.offered:
            return None
        # Offers here are one a machine; a machine may have room for several instances.
        return sum(self.offered[:count]) + self.offered[-1] * max(0, count - len(self.offered))
