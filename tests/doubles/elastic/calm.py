"""The end of a history: all trouble ends, and the fleets come to what is wanted, to their fewest, and to nothing."""

import functools
from collections.abc import Callable, Generator

from controller.demand import Claim
from controller.leaving import Gate
from controller.slots import State
from tests.doubles.elastic import persons
from tests.doubles.elastic.fleet import PlayedFleet
from tests.doubles.elastic.world import World

SETTLED = 2 * 3600.0  # by then, in calm, a fleet is as it should be; mostly it takes minutes
LEFT_ALONE = 200.0  # beyond its lease, until a host that nobody uses has ended itself


def calm(world: World, hire: Callable[[], None]) -> None:
    """End all trouble, and see that every fleet settles. `hire` starts a controller."""
    world.trouble, world.broken_market, world.metrics_down = 0.0, False, 0.0
    world.run(world.now + 120)  # a person who destroys is done
    world.claims.clear()
    world.budget = 0.0 if world.chance.random() < 0.5 else world.budget
    for fleet in world.fleets.values():
        _mend(fleet)
    if not world.budget:
        for requests, count, wanted in ((10, 0, 3), (3, persons.MOST, persons.MOST)):
            going = ["steady"]
            for fleet in world.fleets.values():
                world.start("streams", steady(fleet, requests, going))
                if count:
                    end = world.wall() + 10 * SETTLED
                    world.claims[f"last {fleet.name}"] = Claim(f"last {fleet.name}", fleet.name, count, end, "ann")
            _wait(
                world, functools.partial(serves, wanted=wanted, claimed=count), f"{requests} requests, {count} claimed"
            )
            going.clear()
        world.claims.clear()
    world.budget = 0.0
    _wait(world, fewest, "nobody asks")
    if world.lease_seconds is not None and world.instances:
        _left_alone(world, world.lease_seconds)
        hire()
        _wait(world, fewest, "there is a controller again")
    world.over = True
    world.start("person", persons.destroys(world, again=False))
    _wait(world, nothing, "the stack is destroyed")


def _mend(fleet: PlayedFleet) -> None:
    """Have the bounds and a config with which instances serve, and hosts that answer."""
    if fleet.applied is None or fleet.applied.max < persons.MOST or fleet.applied.min != fleet.elastic.min:
        fleet.applied = fleet.elastic
    if fleet.digest in fleet.broken:
        fleet.edit(broken=False, elsewhere=False)
    for instance in fleet.instances:
        instance.silent_until = instance.untold_until = 0.0
        instance.stuck = instance.stuck and fleet.elastic.min > 0


def _wait(world: World, holds: Callable[[PlayedFleet], bool], when: str) -> None:
    if not world.run(world.now + SETTLED, lambda: all(map(holds, world.fleets.values()))):
        off = [fleet for fleet in world.fleets.values() if not holds(fleet)]
        there = [(fleet.name, fleet.digest, fleet.rows, fleet.instances) for fleet in off]
        world.wrong(f"{when}, and there are {there}")


def _left_alone(world: World, lease: float) -> None:
    """Have no controller any more: each host that nobody uses ends itself once its lease lapsed."""
    world.left_alone = True
    world.kill_all()
    world.run(world.now + lease + LEFT_ALONE)
    world.left_alone = False
    left = [one for one in world.instances if not (one.stuck or one.dead) and one.gate is Gate.OPEN]
    if left:
        world.wrong(f"nobody renews leases, and there are {left}")


def steady(fleet: PlayedFleet, requests: int, going: list[str]) -> Generator[float, None, None]:
    """Keep so many requests under way."""
    while going:
        for _missing in range(requests - fleet.load()):
            fleet.ask(20 + fleet.world.chance.random() * 20)
        yield 3.0


def serves(fleet: PlayedFleet, wanted: int, claimed: int) -> bool:
    """Say whether so many slots serve, all by the config that is applied."""
    ready = [row for row in fleet.rows.values() if row.state is State.READY]
    stopped = wanted < persons.MOST and fleet.refused.get(fleet.digest)
    doors = [one for one in fleet.instances if one.gate is Gate.OPEN and (stopped or one.made_of == fleet.digest)]
    served = sum(row.claim == f"last {fleet.name}" for row in ready)
    return served == claimed and len(ready) == len(doors) == len(fleet.instances) == wanted


def fewest(fleet: PlayedFleet) -> bool:
    ready = [row for row in fleet.rows.values() if row.state is State.READY]
    paid = [row for row in fleet.rows.values() if row.paid]
    return len(ready) == len(paid) == len(fleet.instances) == fleet.elastic.min


def nothing(fleet: PlayedFleet) -> bool:
    return not fleet.instances and not any(row.paid for row in fleet.rows.values())
