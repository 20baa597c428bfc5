"""What people do to a played stack: they change bounds, edit the config, run `up` of a slot, and destroy the stack."""

from collections.abc import Generator

from controller.ports import SlotId
from tests.doubles.elastic.fleet import PlayedFleet
from tests.doubles.elastic.stacks import PlayedStacks
from tests.doubles.elastic.timeline import Process
from tests.doubles.elastic.world import World

MOST = 4


def changes_bounds(fleet: PlayedFleet) -> None:
    """Run `up` of the main stack with other bounds."""
    chance = fleet.world.chance
    if fleet.applied is not None:
        least, most = sorted((chance.choice((0, 0, 1)), chance.randint(0, MOST)))
        fleet.applied = fleet.elastic.model_copy(update={"min": least, "max": most})
        fleet.world.say(f"bounds of {fleet.name} are {least} to {most}")


def edits(fleet: PlayedFleet) -> None:
    """Run `up` of the main stack with another image, model or argument; some make no instance serve."""
    if fleet.applied is not None:
        chance = fleet.world.chance
        fleet.edit(broken=chance.random() < 0.25, elsewhere=chance.random() < 0.3)


def ups(world: World, place: SlotId) -> Generator[float, None, None]:
    """Run `pulumi up` of a slot's stack: what is rented there serves afterwards, by the config that is applied."""
    me = Process("person", iter(()))
    if not world.lock(place, me):
        return
    yield world.chance.uniform(1, 20)
    instance = world.find(place)
    if instance is not None and instance.booted and world.fleet(instance).applied is not None:
        world.say(f"a person runs up of {place}")
        for pause in PlayedStacks(world, by="a person").up(place):
            yield pause.seconds
    world.unlock(place, me)


def destroys(world: World, again: bool) -> Generator[float, None, None]:
    """Destroy the stack: its bounds go first, then each slot under its lock; and maybe make it again."""
    if all(fleet.applied is None for fleet in world.fleets.values()):
        return
    world.say("a person destroys the stack")
    for fleet in world.fleets.values():
        fleet.applied = None
    me = Process("person", iter(()))
    for place in [SlotId(name, index) for name in world.fleets for index in range(MOST)]:
        while not world.lock(place, me):
            yield 2.0
        yield world.chance.uniform(0.1, 3)
        if (instance := world.find(place)) is not None:
            world.end(instance, "a person")
        world.fleets[place.fleet].states.pop(place.slot, None)
        world.unlock(place, me)
    if again:
        yield world.chance.uniform(5, 60)
        for fleet in world.fleets.values():
            fleet.applied = None if world.over else fleet.elastic
