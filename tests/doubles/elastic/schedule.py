"""Random histories of an elastic fleet, seeded and replayable.

    found = play(seed)              # raises Broken where an invariant is broken
    play(seed, Rules(steps=...))    # with a rule left out

Clients send bursts, streams and requests that they abort, and claim instances. Boots fail, hosts die and fall silent, the
wall clock jumps. Controllers are killed and stalled at their seams, two of them run, and a person changes bounds, runs `up`
of a slot, destroys the stack and makes it again. Then all trouble ends: the fleet comes to what is wanted, then to its
fewest, and after a destroy to nothing.
"""

import functools
import random
from collections.abc import Generator

from config.elastic import Elastic
from controller.demand import Claim
from controller.leaving import Gate
from controller.slots import State
from tests.doubles.elastic.controller import Controller
from tests.doubles.elastic.rules import Rules
from tests.doubles.elastic.timeline import Process
from tests.doubles.elastic.watch import Watch
from tests.doubles.elastic.world import Instance, World

LIVELY_SECONDS = 900.0
LONGEST_REQUEST = 240.0
SETTLED = 2 * 3600.0  # by then, in calm, the fleet is as it should be; mostly it takes minutes
MOST = 4
TROUBLES = (*["kill"] * 4, *["stall"] * 8, *["jump"] * 3, *["person's up"] * 5, *["bounds"] * 3, "person's destroy")
FAR = 6 * 3600.0


def play(seed: int, rules: Rules = Rules()) -> World:  # noqa: B008 -- frozen
    """Play one history to its end. Raises Broken."""
    chance = random.Random(seed)
    elastic = Elastic(
        min=chance.choice((0, 0, 0, 1, 2)),
        max=MOST,
        requests_per_instance=4,
        down_seconds=90,
        idle_seconds=150,
        max_request_minutes=LONGEST_REQUEST / 60,
    )
    world = World(seed, elastic=elastic, budget=chance.choice((0.0, 0.0, 2.0, 4.0)))
    watch = Watch(world)
    world.trouble = chance.choice((0.0, 0.01, 0.02, 0.04))
    world.troubles = lambda _self, process, at: strike(world, process, at, rules, watch)
    world.pushy = seed % 10 == 9
    world.pushes = lambda at: world.ask(world.chance.choice((0.2, 5.0, 60.0)), at)
    world.sample()
    for number in range(2):
        hire(world, rules, watch, number * 3.0)
    world.start("clients", clients(world))
    world.start("weather", weather(world))
    world.run(LIVELY_SECONDS)
    calm(world, rules, watch)
    return world


def hire(world: World, rules: Rules, watch: Watch, seconds: float) -> None:
    """Start a controller after so many seconds."""
    controller = Controller(world, rules, watch)

    def begin() -> None:
        controller.me = Process("controller", controller.life())
        world.at(0.0, lambda: world._resume(controller.me))

    world.at(seconds, begin)


def clients(world: World) -> Generator[float, None, None]:
    """Send requests in spells of one kind each, and claim instances."""
    chance, numbers = world.chance, 0
    while world.now < LIVELY_SECONDS:
        kind = chance.choice(("quiet", "quiet", "burst", "streams", "streams", "aborts", "trickle"))
        if chance.random() < 0.2:
            numbers += 1
            name = f"claim-{numbers}"
            count, seconds = chance.choice((1, 1, 2)), chance.uniform(60, 300)
            world.claims[name] = Claim(name, "burst", count, world.wall() + seconds, "ann")
            if chance.random() < 0.3:
                world.at(seconds / 2, functools.partial(world.claims.pop, name, None))
        many = {"burst": chance.randint(4, 30), "streams": chance.randint(1, 9), "aborts": 12, "trickle": 6}.get(
            kind, 0
        )
        for _request in range(many):
            longest = {"burst": 30.0, "streams": LONGEST_REQUEST, "aborts": 0.3, "trickle": 5.0}[kind]
            world.ask(chance.uniform(0.05, 0.999) * longest)
            yield {"burst": 0.5, "streams": 5.0, "aborts": 2.0, "trickle": 8.0}[kind] * chance.random()
        yield chance.choice((10.0, 60.0, 200.0)) * chance.random()


def weather(world: World) -> Generator[float, None, None]:
    """Break the market, monitoring, the clock and hosts for a while."""
    chance = world.chance
    while True:
        yield chance.uniform(20, 200)
        if world.now >= LIVELY_SECONDS:
            return
        world.broken_market = chance.random() < 0.25
        if chance.random() < 0.25:
            world.metrics_down = world.now + chance.uniform(10, 150)
        if world.trouble and chance.random() < 0.1:
            for _jumps in range(10):
                _jump(world)
                yield 3.0
        if world.trouble and world.instances:
            _befall(world, chance.choice(world.instances))


def _befall(world: World, instance: Instance) -> None:
    """Let something happen to a host, or nothing."""
    chance = world.chance
    what = chance.choice(
        ("late samples", "silence", "silence", "death", "landlord", "new start", "stuck gauge", *[""] * 7)
    )
    if what == "late samples":
        instance = max(world.instances, key=lambda one: len(one.active))
        instance.untold_until = world.now + chance.uniform(60, 300)
    elif what == "silence":
        instance.silent_until = world.now + chance.uniform(5, 50)
    elif what == "death":
        instance.dead, instance.gate = True, Gate.CLOSED
        instance.active.clear()
    elif what == "landlord":
        world.end(instance, by_scaling=False)
    elif what == "new start" and instance.booted:
        instance.gate = Gate.CLOSED
    elif what == "stuck gauge":
        instance.stuck = True
    world.count(what or "nothing")
    world.say(f"{what} befalls slot {instance.index}")


def strike(world: World, process: Process, at: Instance | None, rules: Rules, watch: Watch) -> None:
    """Let one trouble happen at a seam; where a host is handled, mostly a request that gets in."""
    chance = world.chance
    what = "request" if at is not None and chance.random() < 0.5 else chance.choice(TROUBLES)
    world.count(what)
    if what == "request":
        world.ask(chance.choice((0.2, 5.0, LONGEST_REQUEST - 1)), at)
    elif what == "kill":
        _kill(world, process, rules, watch)
    elif what == "stall":
        process.stalled = chance.choice((chance.uniform(2, 28), chance.uniform(28, 200)))
        if world.leader is process and chance.random() < 0.6:
            world.leader = None  # its connection to the table was dropped
    elif what == "jump":
        _jump(world)
    elif what == "person's up":
        world.start("person", person_ups(world, chance.randrange(MOST)))
    elif what == "bounds":
        _bounds(world)
    else:
        world.start("person", person_destroys(world, again=True))


def _jump(world: World) -> None:
    world.jumped += world.chance.choice((-FAR, -60.0, 60.0, FAR))
    world.jumps += 1
    world.say(f"the clock jumps to {world.jumped:+.0f}")


def _kill(world: World, process: Process, rules: Rules, watch: Watch) -> None:
    world.say(f"{process.name} is killed")
    world.kill(process)
    if process.name == "controller":
        hire(world, rules, watch, world.chance.uniform(1, 30))


def _bounds(world: World) -> None:
    if world.applied is not None:
        least, most = sorted((world.chance.choice((0, 0, 1)), world.chance.randint(0, MOST)))
        world.applied = world.elastic.model_copy(update={"min": least, "max": most})
        world.say(f"bounds are {least} to {most}")


def person_ups(world: World, index: int) -> Generator[float, None, None]:
    """A person runs `pulumi up` of a slot's stack: what is rented there serves afterwards."""
    me = Process("person", iter(()))
    if not world.lock(index, me):
        return
    yield world.chance.uniform(1, 20)
    instance = world.find(index)
    if instance is not None:
        world.say(f"a person opens slot {index}")
        world.open(instance)
    world.unlock(index, me)


def person_destroys(world: World, again: bool) -> Generator[float, None, None]:
    """A person destroys the stack: its bounds go first, then each slot under its lock; and may make it again."""
    if world.applied is None:
        return
    world.say("a person destroys the stack")
    world.applied = None
    me = Process("person", iter(()))
    for index in range(MOST):
        while not world.lock(index, me):
            yield 2.0
        yield world.chance.uniform(0.1, 3)
        if (instance := world.find(index)) is not None:
            world.end(instance, by_scaling=False)
        world.unlock(index, me)
    if again:
        yield world.chance.uniform(5, 60)
        world.applied = world.elastic


def calm(world: World, rules: Rules, watch: Watch) -> None:
    """End all trouble, and see that the fleet comes to what is wanted, to its fewest, and to nothing."""
    world.trouble, world.broken_market, world.metrics_down = 0.0, False, 0.0
    world.run(world.now + 120)  # a person who destroys is done
    world.claims.clear()
    if world.applied is None or world.applied.max < MOST or world.applied.min != world.elastic.min:
        world.applied = world.elastic
    for instance in world.instances:
        instance.silent_until = instance.untold_until = 0.0
        instance.stuck = instance.stuck and world.elastic.min > 0
    if not world.budget:
        for requests, count, wanted in ((10, 0, 3), (3, MOST, MOST)):
            going = ["steady"]
            world.start("streams", steady(world, requests, going))
            if count:
                world.claims["last"] = Claim("last", "burst", count, world.wall() + 10 * SETTLED, "ann")
            if not world.run(world.now + SETTLED, functools.partial(_serves, world, wanted, count)):
                world.wrong(f"{requests} requests, {count} claimed, and there are {world.rows}, {world.instances}")
            going.clear()
        world.claims.clear()
    if not world.run(world.now + SETTLED, lambda: _fewest(world)):
        world.wrong(f"nobody asks, and there are {world.rows}, {world.instances}")
    world.start("person", person_destroys(world, again=False))
    if not world.run(world.now + SETTLED, lambda: not world.instances and not any(r.paid for r in world.rows.values())):
        world.wrong(f"the stack is destroyed, and there are {world.rows}, {world.instances}")


def steady(world: World, requests: int, going: list[str]) -> Generator[float, None, None]:
    """Keep so many requests under way."""
    while going:
        for _missing in range(requests - world.load()):
            world.ask(20 + world.chance.random() * 20)
        yield 3.0


def _serves(world: World, wanted: int, claimed: int) -> bool:
    ready = [row for row in world.rows.values() if row.state is State.READY]
    doors = [one for one in world.instances if one.gate is Gate.OPEN]
    served = sum(row.claim == "last" for row in ready)
    return served == claimed and len(ready) == len(doors) == len(world.instances) == wanted


def _fewest(world: World) -> bool:
    ready = [row for row in world.rows.values() if row.state is State.READY]
    paid = [row for row in world.rows.values() if row.paid]
    return len(ready) == len(paid) == len(world.instances) == world.elastic.min
