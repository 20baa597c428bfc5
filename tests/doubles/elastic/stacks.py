"""A slot's stack in a played world: its `up` and its destroy take time, fail, and are killed at their seams."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from controller.leaving import Gate
from controller.ports import Pause, SlotId, Steps, UpResult
from tests.doubles.elastic.fleet import PlayedFleet
from tests.doubles.elastic.host import Instance
from tests.doubles.elastic.world import CUT_SECONDS, World

READ_SECONDS, AGAIN_SECONDS = 3.0, 60.0


@dataclass(eq=False)
class PlayedStacks:
    """Satisfies `Stacks` for one process, which knows of a slot what its own `up` told, or what it has read since.

    `by`: who runs the stacks; a person may cut requests.
    """

    world: World
    by: str = "scaling"
    known: dict[SlotId, tuple[int, str]] = field(default_factory=dict)  # number of the instance, digest
    asked: dict[SlotId, float] = field(default_factory=dict)

    def up(self, place: SlotId) -> Steps[UpResult]:
        """Rent and boot, adopt what is there, or change it as the config says; then open the gate."""
        world, fleet = self.world, self.world.fleets[place.fleet]
        wanted, instance = fleet.digest, fleet.find(place.slot)
        fresh = instance is None or not instance.booted
        changes = instance is not None and instance.booted and instance.made_of != wanted
        if instance is not None and changes:
            yield from self._take_down(fleet, instance)
            if wanted in fleet.elsewhere:
                world.end(instance, "an edit" if self.by == "scaling" else self.by)
        if instance is None or instance.ended is not None:
            if world.broken_market and world.chance.random() < 0.5:
                yield Pause(5.0)
                return self._ended(
                    place, wanted if changes else None, UpResult(False, fresh=fresh)
                )  # nothing was rented
            if fleet.applied is None or place.slot >= fleet.applied.max:
                return self._ended(place, wanted if changes else None, UpResult(False, fresh=fresh))
            instance = fleet.rent(place.slot)
        served = yield from self._boot(fleet, instance, wanted)
        if served:
            self.known[place] = instance.number, wanted
        return self._ended(place, wanted if changes else None, UpResult(served, fresh, instance.price))

    def _ended(self, place: SlotId, edit: str | None, came: UpResult) -> UpResult:
        fleet = self.world.fleets[place.fleet]
        if came.served:
            fleet.refused.pop(self.known[place][1], None)  # it is proven
        else:
            self.known.pop(place, None)
            if edit and self.by == "scaling":
                fleet.refuses[place.slot] = edit
        return came

    def _take_down(self, fleet: PlayedFleet, instance: Instance) -> Steps[None]:
        """Close the gate for an edit, as `up` does: requests that take longer than its drain are cut."""
        world = self.world
        instance.attended += 1
        if instance.gate is Gate.OPEN:
            if self.by == "scaling":
                world.watches[fleet.name].takes_down(instance)
            instance.gate = Gate.CLOSED
        until = world.now + CUT_SECONDS
        while instance.active and world.now < until:
            yield Pause(1.0, instance.index)
        if instance.active and instance.ended is None and self.by == "scaling":
            world.wrong(f"an edit cuts {len(instance.active)} requests of {instance.place}")
        instance.active.clear()

    def _boot(self, fleet: PlayedFleet, instance: Instance, wanted: str) -> Steps[bool]:
        """Wait until the instance serves by the config that is wanted, and say whether it does."""
        world = self.world
        instance.attended += 1
        yield Pause(max(0.0, instance.ready_at - world.now), instance.index)
        if instance.ended is not None:
            return False
        if not instance.booted:
            bad = wanted in fleet.broken or world.chance.random() < (0.8 if world.broken_market else 0.05)
            if bad and world.chance.random() < 0.5:
                world.end(instance, "its create")
            if bad:
                return False
        if instance.dead or world.now < instance.silent_until:
            return False
        if instance.booted and instance.made_of != wanted:
            instance.restarts = True
            yield Pause(20 + 40 * world.chance.random(), instance.index)
            instance.restarts = False
            if instance.ended is not None or instance.dead or world.now < instance.silent_until:
                return False
            if wanted in fleet.broken or world.chance.random() < 0.1:
                world.open(instance)  # the old settings come back
                return False
        fresh, instance.booted, instance.made_of = not instance.booted, True, wanted
        if fresh:
            world.watch_over(instance)
        world.open(instance)
        fleet.states[instance.index] = instance.number, wanted
        yield Pause(0.5, instance.index)
        return instance.ended is None and not instance.ending

    def destroy(self, place: SlotId) -> Steps[bool]:
        """Give back, and see the instance gone; mostly."""
        world, instance = self.world, self.world.find(place)
        if instance is None:
            self._forget(place)
            return True
        if world.chance.random() < 0.1:
            return False  # the market did not confirm it; the next process goes on
        world.end(instance, self.by)
        self._forget(place)
        yield Pause(3.0)
        return True

    def _forget(self, place: SlotId) -> None:
        """Remove the stack with its state."""
        self.known.pop(place, None)
        self.world.fleets[place.fleet].states.pop(place.slot, None)

    # -- what this process knows

    def digests(self, places: Collection[SlotId]) -> Mapping[SlotId, str]:
        return {place: self.known[place][1] for place in places if place in self.known}

    def made_of(self, place: SlotId) -> Steps[str | None]:
        """Read a slot's state."""
        yield Pause(0.5, place.slot)
        self._read(place)
        return self.known[place][1] if place in self.known else None

    def doubt(self, places: Collection[SlotId] | None = None) -> None:
        if places is None:
            self.known.clear()
            self.asked.clear()
        for place in places or ():
            self._ask(place)

    def reached(self, place: SlotId) -> Instance | None:
        """Return the instance that this process can reach."""
        if place not in self.known and self.world.quick_states:
            self._read(place)
        if place not in self.known:
            self._ask(place)
            return None
        instance = self.world.find(place)
        return instance if instance is not None and instance.number == self.known[place][0] else None

    def _ask(self, place: SlotId) -> None:
        world = self.world
        if world.now - self.asked.get(place, -AGAIN_SECONDS) >= AGAIN_SECONDS:
            self.asked[place] = world.now
            world.at(READ_SECONDS, lambda: self._read(place))

    def _read(self, place: SlotId) -> None:
        state = self.world.fleets[place.fleet].states.get(place.slot)
        if state is None:
            self.known.pop(place, None)
        else:
            self.known[place] = state
