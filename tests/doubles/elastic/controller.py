"""A controller that is nothing but the shipped rules in a loop: observe, decide, write, act, with a seam after each.

It writes a slot's row before it acts on the slot, and opens a gate before it writes `ready`. What it remembers dies with it.
"""

from collections.abc import Generator
from dataclasses import dataclass, field, replace

from config.elastic import Elastic
from controller import scaling
from controller.demand import Claim, Queue, Seen
from controller.leaving import Gate, Leaving, Next
from controller.memory import Memory
from controller.plan import Act, Move
from controller.slots import Event, Impossible, Slot, State, advance
from tests.doubles.elastic.rules import Rules
from tests.doubles.elastic.slot_process import run
from tests.doubles.elastic.timeline import Process
from tests.doubles.elastic.watch import Watch
from tests.doubles.elastic.world import World

TICK_SECONDS = 10.0
DEAD_SECONDS = 60.0  # after which a slot's refresh says that its host is dead

Seam = Generator[float, None, None]
Claims = tuple[Claim, ...]


@dataclass(eq=False)
class Controller:
    """One controller process."""

    world: World
    rules: Rules
    watch: Watch
    me: Process = field(init=False)
    memory: Memory = field(default_factory=Memory)
    leaving: dict[int, tuple[int, Leaving]] = field(default_factory=dict)  # index -> (version, what is known)
    chose: dict[int, int] = field(default_factory=dict)  # index -> the version with which it left by this process
    closed: dict[int, float] = field(default_factory=dict)  # since when a gate was seen closed
    silent: dict[int, float] = field(default_factory=dict)
    running: dict[int, Process] = field(default_factory=dict)

    def monotonic(self) -> float:
        return self.world.wall() if self.rules.by_the_wall else self.world.now

    def leads(self) -> bool:
        """Take the advisory lock, or say that another process has it."""
        world = self.world
        if world.leader is not None and world.leader.alive and world.leader is not self.me:
            return False
        if world.leader is not self.me:
            world.leader = self.me
            self.leaving.clear()
            self.closed.clear()
            self.silent.clear()
        return True

    def life(self) -> Generator[float, None, None]:
        while True:
            if self.leads():
                yield from self.tick()
            yield TICK_SECONDS

    def seam(self, index: int | None = None) -> Seam:
        at = self.world.find(index) if index is not None else None
        yield from self.world.seam(self.me, at=at)

    def tick(self) -> Seam:
        world = self.world
        yield from self.reap()
        began = self.monotonic()
        elastic, rows, seen, queue = world.applied, dict(world.rows), world.observe(), world.queue()
        asked = self.rules.live(world.claims.values(), "burst", world.wall())
        truth = self.watch.observed(elastic, rows)
        seen = self.watched(rows, seen)
        yield from self.seam()
        yield from self.repair(rows)
        if elastic is not None:
            yield from self.move(began, elastic, seen, queue, asked, truth)
        else:
            for move in self.rules.plan(0, None, tuple(world.rows.values()), seen, world.wall()).moves:
                self.happened(world.rows[move.index], Event.END)
        for row in list(world.rows.values()):
            if row.state is State.LEAVING:
                yield from self.drain(row, began)
        yield from self.run_slots()

    def watched(self, rows: dict[int, Slot], seen: dict[int, Seen]) -> dict[int, Seen]:
        """Add for how long each gate has been seen closed, and note which hosts are silent."""
        told = dict(seen)
        for index, row in rows.items():
            look = self.world.look(self.world.find(index), self.world.now)
            for gate, since in ((Gate.CLOSED, self.closed), (Gate.UNKNOWN, self.silent)):
                if row.state in (State.READY, State.LEAVING, State.ENDING) and look.gate is gate:
                    since.setdefault(index, self.world.now)
                else:
                    since.pop(index, None)
            if index in self.closed and index in told:
                told[index] = replace(told[index], closed_seconds=self.world.now - self.closed[index])
        return told

    def repair(self, rows: dict[int, Slot]) -> Seam:
        """Write what the slots' own states say: gone or dead; and moments that a clock set back left in the future."""
        world = self.world
        for index, row in rows.items():
            if row.state in (State.READY, State.LEAVING) and world.find(index) is None:
                self.happened(row, Event.GONE)
            elif self.is_dead(index) and not row.dead:
                self.happened(row, Event.DIED)
            elif (mended := self.rules.set_back(row, world.wall())) is not None:
                self.world.write(row, mended)
            else:
                continue
            yield from self.seam(index)

    def is_dead(self, index: int) -> bool:
        """Say what a slot's refresh says of a host that has been silent for long; it errs for no host that serves."""
        instance, since = self.world.find(index), self.silent.get(index, self.world.now)
        serves_nobody = instance is not None and (instance.dead or not instance.booted)
        return serves_nobody and self.world.now - since >= DEAD_SECONDS

    def happened(self, row: Slot, event: Event, price: float | None = None) -> bool:
        """Write an event into a row; False if the row has changed since, or cannot have the event."""
        try:
            after = advance(row, event, self.world.wall(), price)
        except Impossible:
            return False
        if not self.world.write(row, after):
            return False
        self.watch.wrote(row, event)
        return True

    def move(
        self, began: float, elastic: Elastic, seen: dict[int, Seen], queue: Queue, claims: Claims, truth: object
    ) -> Seam:
        world, rules = self.world, self.rules
        rows = dict(world.rows)
        for index, claim in rules.assign(tuple(rows.values()), claims).items():
            bound = replace(rows[index], claim=claim, version=rows[index].version + 1)
            if self.world.write(rows[index], bound):
                rows[index] = bound
        slots = tuple(rows.values())
        load = rules.measure(slots, seen, queue)
        money = world.money()
        situation = scaling.Situation("burst", elastic, slots, load, claims, money, self.memory, self.monotonic())
        decision = scaling.decide(situation, rules.steps)
        self.memory = decision.memory
        self.watch.decided(decision, elastic)
        yield from self.seam()
        for move in rules.plan(decision.desired, elastic, slots, seen, world.wall()).moves:
            yield from self.seam()
            if rules.late(began, self.monotonic()):
                return
            yield from self.act(move, rows, seen, elastic, truth)

    def act(self, move: Move, rows: dict[int, Slot], seen: dict[int, Seen], elastic: Elastic, truth: object) -> Seam:
        row = rows.get(move.index, Slot(move.index))
        if move.act is Act.START:
            if self.happened(row, Event.RENT):
                self.watch.starts(row, rows, elastic, truth)
        elif move.act is Act.CLEAR:
            self.happened(row, Event.END)
        elif move.act is Act.MEND:
            self.run(row)
        elif move.act is Act.LEAVE:
            if self.happened(row, Event.LEAVE):
                self.watch.leaves(row, elastic, truth, strict=move.strict)
                mark = seen[move.index].admitted
                begun = Leaving(elastic.max_request_seconds, move.strict, mark)
                self.leaving[move.index] = (row.version + 1, begun)
                self.chose[move.index] = row.version + 1
        elif move.act is Act.REOPEN:
            yield from self.reopen(row)

    def reopen(self, row: Slot) -> Seam:
        instance = self.world.find(row.index)
        if instance is not None:
            self.world.open(instance)
            yield from self.seam(row.index)
            self.happened(row, Event.REOPEN)

    def drain(self, row: Slot, began: float) -> Seam:
        """Look at a slot that leaves, a few times: close, see it closed, settle, look again."""
        world, longest = self.world, self.world.elastic.max_request_seconds
        version, known = self.leaving.get(row.index, (-1, Leaving(longest)))
        if version != row.version:
            known = Leaving(longest)  # another process chose it
        instance = world.find(row.index)
        for _look in range(5):
            yield from self.seam(row.index)
            answer = self.rules.leave(known, world.look(instance, self.monotonic()))
            known = answer.leaving
            self.leaving[row.index] = (row.version, known)
            yield from self.seam(row.index)
            if self.rules.late(began, self.monotonic()):
                return
            if answer.next is Next.CLOSE and instance is not None:
                world.close(instance)
                continue
            elif answer.next is Next.REOPEN:
                yield from self.reopen(row)
                return
            elif answer.next is Next.END:
                self.watch.ends(row, mine=self.chose.get(row.index) == row.version)
                self.happened(row, Event.END)
                return
            yield 0.4

    # -- slot processes

    def run_slots(self) -> Seam:
        for row in list(self.world.rows.values()):
            if row.state in (State.RENTING, State.ENDING):
                self.run(row)
        yield from self.seam()

    def run(self, row: Slot) -> None:
        """Run a slot's stack: up if it is to serve, else destroy. One process a slot."""
        if row.index in self.running:
            return
        process = self.world.start(f"slot {row.index}", iter(()), self.me)
        process.steps = run(self.world, self.rules, row, process, self.monotonic)
        self.running[row.index] = process

    def reap(self) -> Seam:
        """Write what the slot processes that ended have said."""
        for index, process in list(self.running.items()):
            if process.alive and not process.done:
                continue
            del self.running[index]
            if isinstance(process.result, tuple):
                yield from self.seam(index)
                event, begun = process.result
                instance = self.world.find(index)
                self.happened(begun, event, instance.price if instance else None)
