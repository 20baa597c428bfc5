"""The shipped loop as a process of a played world: each of its pauses is a seam at which trouble may strike."""

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from controller.demand import Claim, Queue
from controller.leaving import Gate
from controller.loop.tick import Loop
from controller.money import Money
from controller.plan import Plan
from controller.ports import Fleet, Life, Place, Ports, Sight, Steps, Told, Value
from controller.reasons import Reason
from controller.scaling import Decision
from controller.slots import Event, Slot, State
from tests.doubles.elastic.rules import Rules
from tests.doubles.elastic.stacks import PlayedStacks
from tests.doubles.elastic.timeline import Process
from tests.doubles.elastic.watch import Truth, Watch
from tests.doubles.elastic.world import CEILING, Instance, World

FLEET = "burst"
START_SECONDS = 1.5  # of the engine, before a slot process takes the lock


@dataclass(eq=False)
class Controller:
    """One controller process: the shipped loop over the played world, which it satisfies the ports of."""

    world: World
    rules: Rules
    watch: Watch
    me: Process = field(init=False)
    truth: Truth = field(init=False)
    rows: dict[int, Slot] = field(default_factory=dict)  # as they were when the last plan was made
    led: bool = False
    chose: dict[int, int] = field(default_factory=dict)  # index -> the version with which it left by this process

    def life(self) -> Generator[float, None, None]:
        world = self.world
        ports = Ports(self, self, self, self, PlayedStacks(world), self, self, self, self, self.queue)
        yield from played(world, self.me, Loop(ports, self.rules).life())

    # -- clock and money

    def monotonic(self) -> float:
        return self.world.wall() if self.rules.by_the_wall else self.world.now

    def time(self) -> float:
        return self.world.wall()

    def money(self, _fleet: str, _applied: object, _rows: object) -> Money:
        return self.world.money()

    def queue(self, _fleet: str) -> Queue:
        return self.world.queue()

    # -- rows

    def lead(self) -> bool:
        """Take the advisory lock, or say that another process has it; the call that notices its loss does not take it."""
        world = self.world
        if self.led and world.leader is not self.me:
            self.led = False
            self.chose.clear()  # another process may have led, so the loop forgets why it chose them
            return False
        if world.leader is not None and world.leader.alive and world.leader is not self.me:
            return False
        world.leader = self.me
        self.led = True
        return True

    def fleets_with_slots(self) -> Iterable[str]:
        return [FLEET]

    def slots(self, _fleet: str) -> tuple[Slot, ...]:
        return tuple(self.world.rows.values())

    def write(self, _fleet: str, was: Slot, now: Slot, _event: object = None, _reasons: object = ()) -> bool:
        return self.world.write(was, now)

    def set_endpoint(self, fleet: str, index: int, endpoint: str) -> None:
        pass

    def claims(self) -> tuple[Claim, ...]:
        """Return the claims; the loop reads them when it looks at all else, so that the truth is that of this moment."""
        self.truth = self.watch.observed(self.world.applied, self.world.rows)
        return tuple(self.world.claims.values())

    @contextmanager
    def slot_lock(self, _fleet: str, index: int) -> "Iterator[Lock]":
        world, process = self.world, self.world.current
        assert process is not None
        mine = Lock(world, index, process, world.lock(index, process))
        yield mine
        if mine and process.alive:
            world.unlock(index, process)

    # -- bounds, hosts and market

    def applied(self, *, fresh: bool = False) -> Mapping[str, Fleet]:
        bounds = self.world.applied
        return {} if bounds is None else {FLEET: Fleet(bounds, CEILING)}

    def look(self, places: Collection[Place]) -> Mapping[Place, Sight]:
        world, now = self.world, self.monotonic()
        return {place: Sight(world.look(world.find(place.slot), now), world.told(place.slot)) for place in places}

    def close(self, places: Collection[Place]) -> None:
        for instance in self.answering(places):
            self.world.close(instance)

    def open(self, places: Collection[Place]) -> Collection[Place]:
        for instance in self.answering(places):
            self.world.open(instance)
        return [Place(FLEET, one.index) for one in self.answering(places) if one.gate is Gate.OPEN]

    def answering(self, places: Collection[Place]) -> list[Instance]:
        found = [self.world.find(place.slot) for place in places]
        return [one for one in found if one is not None and self.world.answers(one)]

    def lives(self, places: Collection[Place], *, fresh: bool = False) -> Mapping[Place, Life]:
        return {place: life(self.world.find(place.slot)) for place in places}

    # -- slot processes

    def start(self, place: Place, steps: Steps[Told | None], boots: bool) -> "Run":
        process = self.world.start(str(place), iter(()), self.me)
        process.steps = begun(self.world, process, steps)
        return Run(process)

    # -- what the loop says, which the watch judges

    def decided(self, decision: Decision, _plan: Plan) -> None:
        self.rows = dict(self.world.rows)
        self.watch.decided(decision, self.truth)

    def happened(self, _fleet: str, was: Slot, now: Slot, event: Event, reasons: Sequence[Reason]) -> None:
        self.watch.wrote(was, event)
        if event is Event.RENT:
            self.watch.starts(was, self.rows, self.truth)
        elif event is Event.LEAVE:
            self.watch.leaves(was, self.truth, strict=bool(reasons[0].facts["strict"]))
            self.chose[was.index] = now.version
        elif event is Event.END and was.state is State.LEAVING:
            self.watch.ends(was, mine=self.chose.get(was.index) == was.version)

    def dropped(self, _fleet: str, _index: int | None, reason: Reason) -> None:
        self.world.count(reason.rule.value)

    def failed(self, _what: str, error: Exception) -> None:
        raise error


@dataclass(frozen=True)
class Lock:
    """A slot's lock, or the word that another process has it."""

    world: World
    index: int
    process: Process
    taken: bool

    def __bool__(self) -> bool:
        return self.taken

    def still(self) -> bool:
        return self.world.locks.get(self.index) is self.process


@dataclass(frozen=True)
class Run:
    """A slot process."""

    process: Process

    @property
    def done(self) -> bool:
        return self.process.done or not self.process.alive

    @property
    def told(self) -> Told | None:
        result = self.process.result
        return result if isinstance(result, tuple) else None


def life(instance: Instance | None) -> Life:
    """Return what the market says, which is true here."""
    if instance is None:
        return Life.GONE
    return Life.DEAD if instance.dead or not instance.booted else Life.THERE


def begun(world: World, me: Process, steps: Steps[Told | None]) -> Generator[float, None, Told | None]:
    yield from world.seam(me, START_SECONDS)
    return (yield from played(world, me, steps))


def played(world: World, me: Process, steps: Steps[Value]) -> Generator[float, None, Value]:
    """Play shipped steps: at each pause others act, and trouble may strike."""
    while True:
        try:
            pause = next(steps)
        except StopIteration as end:
            return end.value
        at = world.find(pause.slot) if pause.slot is not None else None
        yield from world.seam(me, pause.seconds, at)
