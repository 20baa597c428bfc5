"""A slot's stack in a played world: its `up` and its destroy take time, fail, and are killed at their seams."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from controller.ports import Came, Pause, Place, Steps
from tests.doubles.elastic.world import Instance, World


@dataclass(frozen=True)
class PlayedStacks:
    """Satisfies `Stacks`."""

    world: World

    def up(self, place: Place) -> Steps[Came]:
        """Rent and boot, or adopt what is there; then open the gate."""
        world, index = self.world, place.slot
        instance = world.find(index)
        fresh = instance is None or not instance.booted
        if instance is None:
            if world.broken_market and world.chance.random() < 0.5:
                yield Pause(5.0)
                return Came(False, fresh=True)  # nothing was rented
            instance = world.rent(index)
        served = yield from self._boot(instance)
        return Came(served, fresh, instance.price)

    def _boot(self, instance: Instance) -> Steps[bool]:
        """Wait until the instance serves, and say whether it does."""
        world = self.world
        yield Pause(max(0.0, instance.ready_at - world.now), instance.index)
        if instance not in world.instances:
            return False
        if not instance.booted and world.chance.random() < (0.8 if world.broken_market else 0.05):
            if world.chance.random() < 0.5:
                world.end(instance, by_scaling=True)  # its create gave it back
            return False
        if instance.dead or world.now < instance.silent_until:
            return False
        instance.booted = True
        world.open(instance)
        yield Pause(0.5, instance.index)
        return True

    def digests(self, places: Collection[Place]) -> Mapping[Place, str]:
        return {}

    def destroy(self, place: Place) -> Steps[bool]:
        """Give back, and see the instance gone; mostly."""
        world, instance = self.world, self.world.find(place.slot)
        if instance is None:
            return True
        if world.chance.random() < 0.1:
            return False  # the market did not confirm it; the next process goes on
        world.end(instance, by_scaling=True)
        yield Pause(3.0)
        return True
