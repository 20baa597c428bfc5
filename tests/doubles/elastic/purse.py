"""The shipped purse over a played account: its spend is read every few minutes, unless the market does not answer."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from config.monitoring import BudgetConfig
from controller.money import Spend
from controller.ports import SlotId
from controller.world.purse import EVERY_SECONDS, OLDEST_SECONDS, SpendReadings, StackPurse
from tests.doubles.elastic.account import BESIDE
from tests.doubles.elastic.world import World


@dataclass(eq=False)
class Calendar:
    """A clock that nobody sets: which day a budget is of, the market decides."""

    world: World

    def monotonic(self) -> float:
        return self.world.now

    def time(self) -> float:
        return self.world.calendar()


class PlayedSpending(SpendReadings):
    """What the account has cost, as one process read it last."""

    def __init__(self, world: World) -> None:
        super().__init__(lambda: None, Calendar(world))
        self.world, self.known = world, (world.now, world.spent())

    def of(self, period: str) -> Spend | None:
        world, (at, usd) = self.world, self.known
        if world.now - at >= EVERY_SECONDS and not world.broken_market:
            self.known = at, usd = world.now, world.spent()
        return Spend(usd, world.now - at) if world.now - at <= OLDEST_SECONDS else None


@functools.cache
def _budget(usd_per_day: float) -> BudgetConfig:
    return BudgetConfig.model_validate({"usdPerDay": usd_per_day})


def purse_of(world: World) -> StackPurse:
    """Return the purse of one controller process."""

    def others(places: Sequence[SlotId]) -> float | None:
        if world.chance.random() < 0.02:
            return None
        return BESIDE + sum(one.price for one in world.instances if one.place not in places)

    return StackPurse(lambda: _budget(world.budget), PlayedSpending(world), others, Calendar(world))
