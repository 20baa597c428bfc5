"""Random histories of elastic fleets, seeded and replayable.

    found = play(seed)              # raises Broken where an invariant is broken
    play(seed, Rules(steps=...))    # with a rule left out

Clients send bursts, streams and requests that they abort, and claim instances. Boots fail, hosts die, fall silent and end
themselves, the wall clock jumps. Controllers are killed and stalled at their seams, two of them run, at times none. A person
changes bounds, edits the config, runs `up` of a slot, destroys the stack and makes it again. Some stacks have two fleets,
which share account and budget. Then all trouble ends; see `calm`.
"""

import functools
import random
from collections.abc import Generator

from config.elastic import Elastic
from config.rollout import RolloutConfig
from controller.demand import Claim
from controller.leaving import Gate
from controller.ports import SlotId
from tests.doubles.elastic import persons
from tests.doubles.elastic.calm import calm
from tests.doubles.elastic.controller import Controller
from tests.doubles.elastic.fleet import PlayedFleet
from tests.doubles.elastic.host import Instance
from tests.doubles.elastic.rules import Rules
from tests.doubles.elastic.timeline import Process
from tests.doubles.elastic.world import World

LIVELY_SECONDS = 900.0
LONGEST_REQUEST = 240.0
TROUBLES = (
    *["kill"] * 4,
    *["stall"] * 8,
    *["jump"] * 3,
    *["person's up"] * 5,
    *["bounds"] * 3,
    *["edit"] * 4,
    "person's destroy",
)
FAR = 6 * 3600.0


def play(seed: int, rules: Rules = Rules()) -> World:  # noqa: B008 -- frozen
    """Play one history to its end. Raises Broken."""
    chance = random.Random(seed)
    world = World(seed)
    world.budget = chance.choice((0.0, 0.0, 2.5, 4.5))
    world.lease_seconds = chance.choice((None, 150.0, 300.0))
    world.trouble = chance.choice((0.0, 0.01, 0.02, 0.04))
    world.troubles = lambda _self, process, at: strike(world, process, at, rules)
    world.pushy = seed % 10 == 9
    world.quick_states = seed % 4 == 3
    world.pushes = lambda at: world.fleet(at).ask(world.chance.choice((0.2, 5.0, 60.0)), at)
    for name, ceiling in (("burst", 0.5), ("other", 0.7))[: chance.choice((1, 1, 2))]:
        world.add(fleet_of(world, chance, name, ceiling))
    if len(world.fleets) > 1:
        world.count("two fleets")
    for number in range(2):
        hire(world, rules, number * 3.0)
    for fleet in world.fleets.values():
        world.start("clients", clients(fleet))
    world.start("weather", weather(world, rules))
    world.run(LIVELY_SECONDS)
    calm(world, lambda: hire(world, rules, 0.0))
    return world


def fleet_of(world: World, chance: random.Random, name: str, ceiling: float) -> PlayedFleet:
    """Return a fleet with random bounds."""
    elastic = Elastic(
        min=chance.choice((0, 0, 0, 1, 2)),
        max=persons.MOST,
        requests_per_instance=4,
        down_seconds=90,
        idle_seconds=150,
        max_request_minutes=LONGEST_REQUEST / 60,
    )
    rollout = RolloutConfig(max_unavailable=chance.choice(("1", "1", "2")))
    return PlayedFleet(world, name, elastic, ceiling, rollout)


def hire(world: World, rules: Rules, seconds: float) -> None:
    """Start a controller after so many seconds."""
    controller = Controller(world, rules)

    def begin() -> None:
        if world.left_alone:
            return
        controller.me = world.begin("controller", controller.life())

    world.at(seconds, begin)


def clients(fleet: PlayedFleet) -> Generator[float, None, None]:
    """Send requests in spells of one kind each, and claim instances."""
    world, chance, numbers = fleet.world, fleet.world.chance, 0
    while world.now < LIVELY_SECONDS:
        kind = chance.choice(("quiet", "quiet", "burst", "streams", "streams", "aborts", "trickle"))
        if chance.random() < 0.2:
            numbers += 1
            name = f"claim-{fleet.name}-{numbers}"
            count, seconds = chance.choice((1, 1, 2)), chance.uniform(60, 300)
            world.claims[name] = Claim(name, fleet.name, count, world.wall() + seconds, "ann")
            if chance.random() < 0.3:
                world.at(seconds / 2, functools.partial(world.claims.pop, name, None))
        many = {"burst": chance.randint(4, 30), "streams": chance.randint(1, 9), "aborts": 12, "trickle": 6}.get(
            kind, 0
        )
        for _request in range(many):
            longest = {"burst": 30.0, "streams": LONGEST_REQUEST, "aborts": 0.3, "trickle": 5.0}[kind]
            fleet.ask(chance.uniform(0.05, 0.999) * longest)
            yield {"burst": 0.5, "streams": 5.0, "aborts": 2.0, "trickle": 8.0}[kind] * chance.random()
        yield chance.choice((10.0, 60.0, 200.0)) * chance.random()


def weather(world: World, rules: Rules) -> Generator[float, None, None]:
    """Break the market, monitoring, the clock, hosts and all controllers for a while."""
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
        if world.trouble and chance.random() < 0.05:
            _nobody_controls(world, rules)
        if world.trouble and world.instances:
            _befall(world, chance.choice(world.instances))


def _nobody_controls(world: World, rules: Rules) -> None:
    """Kill all controllers; others start minutes later."""
    world.count("no controller")
    world.say("all controllers are killed")
    for seconds in (0.0, 3.0)[: world.kill_all()]:
        hire(world, rules, seconds + world.chance.uniform(60, 500))


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
        world.end(instance, "its landlord")
    elif what == "new start" and instance.booted:
        instance.gate, instance.left, instance.closed_itself = Gate.CLOSED, False, False
        instance.active.clear()
        world.watch_over(instance)
    elif what == "stuck gauge":
        instance.stuck = True
    world.count(what or "nothing")
    world.say(f"{what} befalls {instance.place}")


def strike(world: World, process: Process, at: Instance | None, rules: Rules) -> None:
    """Let one trouble happen at a seam; where a host is handled, mostly a request that gets in."""
    chance = world.chance
    what = "request" if at is not None and chance.random() < 0.5 else chance.choice(TROUBLES)
    world.count(what)
    fleet = chance.choice(list(world.fleets.values()))
    if what == "request" and at is not None:
        world.fleet(at).ask(chance.choice((0.2, 5.0, LONGEST_REQUEST - 1)), at)
    elif what == "kill":
        world.say(f"{process.name} is killed")
        world.kill(process)
        if process.name == "controller":
            hire(world, rules, chance.uniform(1, 30))
    elif what == "stall":
        process.stalled = chance.choice((chance.uniform(2, 28), chance.uniform(28, 200)))
        if world.leader is process and chance.random() < 0.6:
            world.leader = None  # its connection to the table was dropped
    elif what == "jump":
        _jump(world)
    elif what == "person's up":
        world.start("person", persons.ups(world, SlotId(fleet.name, chance.randrange(persons.MOST))))
    elif what == "bounds":
        persons.changes_bounds(fleet)
    elif what == "edit":
        persons.edits(fleet)
    else:
        world.start("person", persons.destroys(world, again=True))


def _jump(world: World) -> None:
    world.jumped += world.chance.choice((-FAR, -60.0, 60.0, FAR))
    world.jumps += 1
