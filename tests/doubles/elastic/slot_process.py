"""The processes of one slot's stack: `up` and destroy, each under the slot's lock. They tell the event for the slot's row."""

from collections.abc import Callable, Generator
from dataclasses import replace

from controller.leaving import Leaving, Next
from controller.slots import Event, Slot, State, advance
from tests.doubles.elastic.rules import Rules
from tests.doubles.elastic.timeline import Process
from tests.doubles.elastic.world import Instance, World

SILENT_SECONDS = 60.0  # for so long it waits under the lock for a host that does not answer
START_SECONDS = 1.5  # of the engine, before it takes the lock

Seam = Generator[float, None, None]
Played = Generator[float, None, Event | None]
Told = tuple[Event, Slot]  # an event, and the row as the process wrote it when it began


def run(
    world: World, rules: Rules, meant: Slot, me: Process, clock: Callable[[], float]
) -> Generator[float, None, Told | None]:
    """Run the slot's stack as its row says. Return None if another process has the lock or the row, or nothing is sure."""
    yield from world.seam(me, START_SECONDS)
    if not world.lock(meant.index, me):
        return None
    try:
        yield from world.seam(me)
        row = world.rows.get(meant.index, Slot(meant.index))
        if rules.changed(meant, row):
            return None
        begun = replace(row, version=row.version + 1)
        if meant.state is row.state:
            begun = advance(row, Event.BEGAN, world.wall())
        if not world.write(row, begun):
            return None
        event = yield from (down if meant.state is State.ENDING else up)(world, rules, meant, me, clock)
        return None if event is None else (event, begun)
    finally:
        if me.alive:
            world.unlock(meant.index, me)


def up(world: World, rules: Rules, meant: Slot, me: Process, _clock: Callable[[], float]) -> Played:
    """Rent and boot, or adopt what is there; then open the gate."""
    if meant.state is State.RENTING and rules.unwanted(meant, world.applied):
        return Event.WITHDRAWN
    instance = world.find(meant.index)
    fresh = instance is None or not instance.booted
    if instance is None and meant.state is not State.RENTING:
        return Event.GONE
    if instance is None:
        if world.broken_market and world.chance.random() < 0.5:
            yield 5.0
            return Event.DIED  # nothing was rented
        instance = world.rent(meant.index)
    served = yield from _boot(world, instance, me)
    return Event.SERVED if served else Event.DIED if fresh else Event.BROKE


def _boot(world: World, instance: Instance, me: Process) -> Generator[float, None, bool]:
    """Wait until the instance serves, and say whether it does."""
    yield from world.seam(me, max(0.0, instance.ready_at - world.now), instance)
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
    yield from world.seam(me, 0.5, instance)
    return True


def down(world: World, rules: Rules, meant: Slot, me: Process, clock: Callable[[], float]) -> Played:
    """Close the gate, see it closed and quiet under the lock, destroy, and see the instance gone."""
    instance = world.find(meant.index)
    if instance is None:
        return Event.GONE
    known = Leaving(world.elastic.max_request_seconds, locked=True, dead=meant.dead)
    until = world.now + SILENT_SECONDS
    while True:
        yield from world.seam(me, at=instance)
        answer = rules.leave(known, world.look(instance, clock()))
        known = answer.leaving
        if answer.next is Next.END:
            break
        if answer.next is Next.CLOSE:
            world.close(instance)
        elif known.closed_at is None and world.now > until:
            return None  # others may look at the slot meanwhile
        else:
            yield 0.4 if known.quiet_at is not None else 5.0
    yield from world.seam(me, at=instance)
    if world.chance.random() < 0.1:
        return None  # the market did not confirm it; the next process goes on
    world.end(instance, by_scaling=True)
    yield from world.seam(me, 3.0)
    return Event.GONE
