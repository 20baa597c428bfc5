"""One tick over all elastic fleets: observe, repair, decide, write, act, with a seam after each.

Tests with random histories check this order. The loop writes a row before it acts on the slot, and opens a gate before it
writes `ready`. It drops a decision that rests on an old look.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from controller import scaling
from controller.demand import Claim, HostLoad, Queue
from controller.leaving import Leaving
from controller.loop import slot_run
from controller.loop.drain import drain, reopen
from controller.loop.known import DEAD_SECONDS, Known
from controller.loop.rows import happened
from controller.loop.rules import Rules
from controller.plan import Act, Move, Plan
from controller.ports import Fleet, HostObservation, MarketStatus, Pause, Ports, SlotId, Steps
from controller.reasons import Reason, Rule
from controller.slots import Slot, SlotEvent, State

TICK_SECONDS = 10.0

Rows = dict[str, tuple[Slot, ...]]


@dataclass(frozen=True)
class Observed:
    """The facts of one tick. It began to look at `began`, by the monotonic clock, and at `wall`, in unix seconds."""

    began: float
    wall: float
    applied: Mapping[str, Fleet]
    claims: tuple[Claim, ...]
    rows: Rows
    queues: Mapping[str, Queue]
    sights: Mapping[SlotId, HostObservation]
    lives: Mapping[SlotId, MarketStatus]


@dataclass(eq=False)
class Loop:
    """The reconciler of one controller process.

    `dead_seconds`: a host that has been silent for so long, and whose failure the market has named for so long, is dead.
    """

    ports: Ports
    rules: Rules = field(default_factory=Rules)
    known: dict[str, Known] = field(default_factory=dict)
    led: bool = False
    dead_seconds: float = DEAD_SECONDS

    def life(self) -> Steps[None]:
        """Tick for ever, while this process leads."""
        while True:
            yield from self.turn()
            yield Pause(TICK_SECONDS)

    def turn(self) -> Steps[bool]:
        """Tick once if this process leads; say whether it does. Raises if the table does not answer."""
        leads = self.leads()
        if leads:
            yield from self.tick()
        return leads

    def leads(self) -> bool:
        """Return whether this process leads. If it has just taken the lead, it forgets its earlier looks."""
        leads = self.ports.rows.lead()
        if leads and not self.led:
            for known in self.known.values():
                known.forget()
            self.ports.stacks.doubt()
        self.led = leads
        return leads

    def why_dropped(self, began: float) -> Reason | None:
        """Return why decisions from a look at `began` must be dropped, else None."""
        return self.rules.late(began, self.ports.clock.monotonic()) or self.rules.led(self.leads())

    def tick(self) -> Steps[None]:
        """Bring every fleet one step nearer to its desired state."""
        yield from self.reap()
        for known in self.known.values():
            known.undecided()
        observed = self.observe()
        yield Pause()
        for fleet in sorted(observed.rows):
            try:
                yield from self.steer(self.of(fleet), observed)
            except Exception as error:  # noqa: BLE001 -- one fleet's trouble holds up no other
                self.ports.ledger.failed(f"fleet {fleet}", error)
            observed.rows[fleet] = self.ports.rows.slots(fleet)  # its rents count in the money of the next fleet
        yield from drain(self.ports, self.rules, self.known, partial(self.why_dropped, observed.began))
        yield from self.run_slots()

    def of(self, fleet: str) -> Known:
        """Return this process's record of a fleet; the first call makes it."""
        return self.known.setdefault(fleet, Known(fleet, self.dead_seconds))

    def observe(self) -> Observed:
        """Look at the table, the bounds, the market and all hosts."""
        ports = self.ports
        began, wall = ports.clock.monotonic(), ports.clock.time()
        applied = ports.fleets.applied()
        names = sorted({*applied, *ports.rows.fleets_with_slots()})
        rows = {name: ports.rows.slots(name) for name in names}
        claims = ports.rows.claims()
        queues = {name: ports.queue(name) for name in names}
        paid = [SlotId(name, row.index) for name, found in rows.items() for row in found if row.paid]
        return Observed(began, wall, applied, claims, rows, queues, ports.hosts.look(paid), ports.market.lives(paid))

    def steer(self, known: Known, observed: Observed) -> Steps[None]:
        """Repair the rows of one fleet, decide its count, and make the moves towards it."""
        now, fleet = self.ports.clock.monotonic(), observed.applied.get(known.fleet)
        if fleet is not None:
            known.longest_seconds = fleet.elastic.max_request_seconds
        rows = observed.rows[known.fleet]
        known.note(rows, observed.sights, observed.lives, now)
        seen = known.seen(rows, observed.sights, now)
        yield from self.repair(known, rows, observed.lives, now)
        if fleet is None:
            known.spared = {}
            rows = self.ports.rows.slots(known.fleet)
            plan = self.rules.plan(0, None, rows, seen, self.ports.clock.time())
            yield from self.make(known, plan, {row.index: row for row in rows}, seen, observed)
            return
        yield from self.move(known, fleet, seen, observed)

    def repair(
        self, known: Known, rows: Sequence[Slot], lives: Mapping[SlotId, MarketStatus], now: float
    ) -> Steps[None]:
        """Act on slots that the market calls gone or dead. Correct moments in the future after a clock was set back."""
        wall = self.ports.clock.time()
        for row in rows:
            life = lives.get(known.place(row.index), MarketStatus.UNKNOWN)
            if known.is_silent(row.index, now):
                self.ports.stacks.doubt([known.place(row.index)])
            if life is MarketStatus.GONE and row.state in (State.READY, State.LEAVING):
                self.run(known, row, only_if_gone=True)
            elif known.is_dead(row.index, now) and not row.dead and not row.changes:
                says = "the market names its failure, and its host does not answer"
                happened(self.ports, known.fleet, row, SlotEvent.DIED, (Reason(Rule.DEAD, says),))
            elif (mended := self.rules.set_back(row, wall)) is not None:
                self.ports.rows.write(known.fleet, row, mended)
            else:
                continue
            yield Pause(slot=row.index)

    def move(self, known: Known, fleet: Fleet, seen: Mapping[int, HostLoad], observed: Observed) -> Steps[None]:
        """Decide the count and make the moves of the plan, unless the look is too old by then."""
        ports, rules = self.ports, self.rules
        claims = rules.live(observed.claims, known.fleet, observed.wall)
        rows = {row.index: row for row in ports.rows.slots(known.fleet)}
        for index, claim in rules.assign(tuple(rows.values()), claims).items():
            bound = replace(rows[index], claim=claim, version=rows[index].version + 1)
            if ports.rows.write(known.fleet, rows[index], bound):
                known.bound.setdefault(index, {})[rows[index].version] = bound
                rows[index] = bound
        slots = tuple(rows.values())
        load = rules.measure(slots, seen, observed.queues[known.fleet])
        money = ports.purse.money(known.fleet, observed.applied, {**observed.rows, known.fleet: slots})
        now = ports.clock.monotonic()
        situation = scaling.Situation(known.fleet, fleet.elastic, slots, load, claims, money, known.memory, now)
        decision = scaling.decide(situation, rules.steps)
        known.memory = decision.memory
        known.spared = rules.spare(fleet.elastic, slots, seen, load)
        plan = rules.plan(decision.desired, fleet.elastic, slots, seen, ports.clock.time())
        ports.ledger.decided(decision, plan)
        yield Pause()
        yield from self.make(known, plan, rows, seen, observed, decision.reasons)
        if not self.why_dropped(observed.began):
            self.follow(known, fleet, observed.sights)

    def follow(self, known: Known, fleet: Fleet, sights: Mapping[SlotId, HostObservation]) -> None:
        """Run the `up` of slots that an edit of the config has yet to reach, in waves."""
        slots = self.ports.rows.slots(known.fleet)
        places = {slot.index: known.place(slot.index) for slot in slots}
        digests_in_state = self.ports.stacks.digests(tuple(places.values()))
        # A slot without a known digest may have followed already. A thread reads its digest from its stack meanwhile.
        digests = {index: digests_in_state.get(place, fleet.digest) for index, place in places.items()}
        gates = {index: sights[place].look.gate for index, place in places.items() if place in sights}
        wave = self.rules.wave(slots, fleet.digest, digests, fleet.rollout, gates)
        for slot in slots:
            if slot.index in wave.starts:
                self.run(known, slot)

    def make(
        self,
        known: Known,
        plan: Plan,
        rows: dict[int, Slot],
        seen: Mapping[int, HostLoad],
        observed: Observed,
        why: tuple[Reason, ...] = (),
    ) -> Steps[None]:
        """Make the moves of a plan, one after the other."""
        for move in plan.moves:
            yield Pause()
            if reason := self.why_dropped(observed.began):
                self.ports.ledger.dropped(known.fleet, move.index, reason)
                return
            yield from self.act(known, move, rows.get(move.index, Slot(move.index)), seen, why)

    def act(
        self,
        known: Known,
        move: Move,
        row: Slot,
        seen: Mapping[int, HostLoad],
        why: tuple[Reason, ...],
    ) -> Steps[None]:
        """Write the event of a move into its slot's row. A rent begins at once, an end at the end of the tick."""
        reasons = (move.reason, *why)
        if move.act is Act.START:
            renting = happened(self.ports, known.fleet, row, SlotEvent.RENT, reasons)
            if renting is not None:
                yield Pause(slot=row.index)
                self.run(known, renting)
        elif move.act is Act.CLEAR:
            happened(self.ports, known.fleet, row, SlotEvent.END, (move.reason,))
        elif move.act is Act.MEND:
            self.run(known, row)
        elif move.act is Act.LEAVE:
            after = happened(self.ports, known.fleet, row, SlotEvent.LEAVE, reasons)
            if after is not None:
                leaving = Leaving(known.longest_seconds, move.strict, seen[move.index].admitted)
                known.leaving[row.index] = after.version, leaving
        elif move.act is Act.REOPEN:
            yield from reopen(self.ports, known, [row], reasons)

    # -- slot processes

    def run_slots(self) -> Steps[None]:
        """Run the stack of each slot that rents or ends."""
        for fleet in sorted({*self.known, *self.ports.rows.fleets_with_slots()}):
            for row in self.ports.rows.slots(fleet):
                if row.state in (State.RENTING, State.ENDING):
                    self.run(self.of(fleet), row)
        yield Pause()

    def run(self, known: Known, row: Slot, only_if_gone: bool = False) -> None:
        """Start a slot's process, unless one runs."""
        if row.index in known.running:
            return
        place = known.place(row.index)
        steps = slot_run.run(self.ports, self.rules, place, row, known.longest_seconds, only_if_gone)
        boots = row.state is State.RENTING
        known.bound.pop(row.index, None)
        known.running[row.index] = self.ports.tasks.start(place, steps, boots)

    def reap(self) -> Steps[None]:
        """Write the events of slot processes that have ended."""
        for known in self.known.values():
            for index, task in list(known.running.items()):
                if not task.done:
                    continue
                del known.running[index]
                if task.run_end is None:
                    continue
                yield Pause(slot=index)
                event, begun, usd_per_hour, reasons, proves = task.run_end
                row = known.follow(begun)  # a claim that was bound meanwhile leaves the event valid
                happened(self.ports, known.fleet, row, event, reasons, usd_per_hour)
                self.proven(known, proves)

    def proven(self, known: Known, proves: Sequence[Slot]) -> None:
        """Clear earlier failures of other slots with this edit, because a slot now serves by it. The waves then go on."""
        before = {(slot.index, slot.follows, slot.failures) for slot in proves}
        for row in self.ports.rows.slots(known.fleet):
            if (row.index, row.follows, row.failures) in before:
                freed = replace(row, follows=None, version=row.version + 1)
                if self.ports.rows.write(known.fleet, row, freed):
                    known.bound.setdefault(row.index, {})[row.version] = freed
