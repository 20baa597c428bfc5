"""Runs the shipped loop in simulated time; a test can interrupt it at each of its pauses."""

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from controller.demand import Claim, Queue
from controller.leaving import Gate
from controller.loop.tick import Loop
from controller.plan import Plan
from controller.ports import Fleet, HostObservation, MarketStatus, Ports, RunEnd, SlotId, Steps, Value
from controller.reasons import Reason
from controller.scaling import Decision
from controller.slots import Slot, SlotEvent, State
from controller.world.leases import LEASED
from tests.doubles.elastic.host import Instance
from tests.doubles.elastic.purse import purse_of
from tests.doubles.elastic.rules import Rules
from tests.doubles.elastic.stacks import PlayedStacks
from tests.doubles.elastic.timeline import Process
from tests.doubles.elastic.watch import Truth
from tests.doubles.elastic.world import World

START_SECONDS = 1.5  # of the engine, before a slot process takes the lock
APPLIED_SECONDS, LEASE_SECONDS = 20.0, 60.0


@dataclass(eq=False)
class Controller:
    """One controller process: the shipped loop over the played world, which it satisfies the ports of."""

    world: World
    rules: Rules
    me: Process = field(init=False)
    truths: dict[str, Truth] = field(default_factory=dict)
    rows: dict[str, dict[int, Slot]] = field(default_factory=dict)  # as they were when the last plan was made
    led: bool = False
    chose: dict[SlotId, int] = field(default_factory=dict)  # -> the version with which it left by this process
    read: tuple[float, dict[str, Fleet]] | None = None  # what is applied, and when it was read

    def __post_init__(self) -> None:
        self.stacks = PlayedStacks(self.world)
        self.purse = purse_of(self.world)

    def life(self) -> Generator[float, None, None]:
        world = self.world
        ports = Ports(self, self, self, self, self.stacks, self, self.purse, self, self, self.queue)
        if world.lease_seconds is not None:
            world.start("leases", self.leases())
        yield from played(world, self.me, Loop(ports, self.rules).life())

    def leases(self) -> Generator[float, None, None]:
        """Renew leases beside the loop."""
        while self.me.alive:
            if self.world.leader is self.me:
                for place, row in self.world.rows().items():
                    instance = self.stacks.reached(place) if row.state in LEASED else None
                    if instance is not None and self.world.answers(instance):
                        instance.renewed = self.world.now
            yield LEASE_SECONDS

    # -- clock

    def monotonic(self) -> float:
        return self.world.wall() if self.rules.by_the_wall else self.world.now

    def time(self) -> float:
        return self.world.wall()

    def queue(self, fleet: str) -> Queue:
        return self.world.fleets[fleet].queue()

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
        if world.leader is not self.me:
            world.led_at = world.now
        world.leader = self.me
        self.led = True
        return True

    def fleets_with_slots(self) -> Iterable[str]:
        return [name for name, fleet in self.world.fleets.items() if fleet.rows]

    def slots(self, fleet: str) -> tuple[Slot, ...]:
        return tuple(self.world.fleets[fleet].rows.values())

    def write(self, fleet: str, was: Slot, now: Slot, _event: object = None, _reasons: object = ()) -> bool:
        written = self.world.fleets[fleet].write(was, now)
        if written:
            self.world.watches[fleet].marks(was, now)
        return written

    def set_endpoint(self, fleet: str, index: int, endpoint: str) -> None:
        pass

    def claims(self) -> tuple[Claim, ...]:
        """Return the claims; the loop reads them when it looks at all else, so that the truth is that of this moment."""
        applied = self.applied()
        for name, watch in self.world.watches.items():
            self.truths[name] = watch.observed(applied[name].elastic if name in applied else None)
        return tuple(self.world.claims.values())

    @contextmanager
    def slot_lock(self, fleet: str, index: int) -> "Iterator[Lock]":
        world, process, place = self.world, self.world.current, SlotId(fleet, index)
        assert process is not None
        mine = Lock(world, place, process, world.lock(place, process))
        yield mine
        if mine and process.alive:
            world.unlock(place, process)

    # -- bounds, hosts and market

    def applied(self, *, fresh: bool = False) -> Mapping[str, Fleet]:
        now = self.world.now
        if fresh or self.read is None or now - self.read[0] >= APPLIED_SECONDS:
            ports = {name: fleet.port() for name, fleet in self.world.fleets.items()}
            self.read = now, {name: port for name, port in ports.items() if port is not None}
        return self.read[1]

    def look(self, places: Collection[SlotId]) -> Mapping[SlotId, HostObservation]:
        world, now = self.world, self.monotonic()
        return {
            place: HostObservation(world.look(instance, now), world.fleets[place.fleet].told(place.slot))
            for place in places
            if (instance := self.stacks.reached(place)) is not None
        }

    def close(self, places: Collection[SlotId]) -> None:
        for instance in self.answering(places):
            fleet = self.world.fleet(instance)
            if instance.gate is Gate.OPEN and fleet.rows[instance.index].state is State.READY:
                self.world.watches[fleet.name].takes_down(instance)
            self.world.close(instance)

    def open(self, places: Collection[SlotId]) -> Collection[SlotId]:
        """Open what a controller closed, on hosts that serve."""
        found = self.answering(places)
        for instance in found:
            if instance.left:
                self.world.open(instance)
        return [one.place for one in found if one.gate is Gate.OPEN]

    def answering(self, places: Collection[SlotId]) -> list[Instance]:
        found = [self.stacks.reached(place) for place in places]
        return [one for one in found if one is not None and self.world.answers(one)]

    def lives(self, places: Collection[SlotId], *, fresh: bool = False) -> Mapping[SlotId, MarketStatus]:
        return {place: life(self.world.find(place)) for place in places}

    # -- slot processes

    def start(self, place: SlotId, steps: Steps[RunEnd | None], boots: bool) -> "Run":
        process = self.world.start(str(place), iter(()), self.me)
        process.steps = begun(self.world, process, steps)
        return Run(process)

    # -- what the loop says, which the watch judges

    def decided(self, decision: Decision, _plan: Plan) -> None:
        self.rows[decision.fleet] = dict(self.world.fleets[decision.fleet].rows)
        self.world.watches[decision.fleet].decided(decision, self.truths[decision.fleet])

    def happened(self, fleet: str, was: Slot, now: Slot, event: SlotEvent, reasons: Sequence[Reason]) -> None:
        watch, truth, place = self.world.watches[fleet], self.truths.get(fleet), SlotId(fleet, was.index)
        watch.wrote(was, event)
        if event is SlotEvent.RENT:
            assert truth is not None
            watch.starts(was, self.rows[fleet], truth)
        elif event is SlotEvent.LEAVE:
            assert truth is not None
            watch.leaves(was, truth, strict=bool(reasons[0].facts["strict"]))
            self.chose[place] = now.version
        elif event is SlotEvent.END and was.state is State.LEAVING:
            watch.ends(was, mine=self.chose.get(place) == was.version)

    def dropped(self, _fleet: str, _index: int | None, reason: Reason) -> None:
        self.world.count(reason.rule.value)

    def failed(self, _what: str, error: Exception) -> None:
        raise error


@dataclass(frozen=True)
class Lock:
    """A slot's lock, or the word that another process has it."""

    world: World
    place: SlotId
    process: Process
    taken: bool

    def __bool__(self) -> bool:
        return self.taken

    def still(self) -> bool:
        return self.world.locks.get(self.place) is self.process


@dataclass(frozen=True)
class Run:
    """A slot process."""

    process: Process

    @property
    def done(self) -> bool:
        return self.process.done or not self.process.alive

    @property
    def run_end(self) -> RunEnd | None:
        result = self.process.result
        return result if isinstance(result, RunEnd) else None


def life(instance: Instance | None) -> MarketStatus:
    """Return what the market says, which is true here."""
    if instance is None:
        return MarketStatus.GONE
    return MarketStatus.DEAD if instance.dead or not instance.booted else MarketStatus.THERE


def begun(world: World, me: Process, steps: Steps[RunEnd | None]) -> Generator[float, None, RunEnd | None]:
    yield from world.seam(me, START_SECONDS)
    return (yield from played(world, me, steps))


def played(world: World, me: Process, steps: Steps[Value]) -> Generator[float, None, Value]:
    """Play shipped steps: at each pause others act, and trouble may strike."""
    while True:
        try:
            pause = next(steps)
        except StopIteration as end:
            return end.value
        at = world.at_slot(me, pause.slot) if pause.slot is not None else None
        yield from world.seam(me, pause.seconds, at)
