"""The shipped loop over real hosts, real gates and PostgreSQL, in which slots leave again and again.

What a slot's stack does is played on its host: its destroy kills gate and vLLM with all that is under way, and its `up` opens
the gate once both answer again. Which slot leaves when is the test's choice; how it leaves is the shipped rules'.
"""

import math
import random
import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from config.elastic import Elastic
from controller.demand import HostLoad
from controller.leaving import Gate
from controller.loop.rules import Rules
from controller.loop.tick import Loop
from controller.money import Money
from controller.plan import Act, Move, Plan
from controller.ports import Fleet, HostObservation, MarketStatus, Pause, Ports, SlotId, Steps, UpResult
from controller.reasons import Reason, Rule
from controller.scaling import Decision
from controller.slots import Slot, SlotEvent, State
from controller.store.store import Store
from controller.world.drive import Threads, drive
from controller.world.hosts import Address, HostCalls
from controller.world.table import Table
from tests.doubles.emulated import USER_KEY
from tests.doubles.load import Span
from tests.doubles.rented import Rented

FLEET = "burst"
WHY = Reason(Rule.VICTIM, "the test has chosen it")
BOTH = "kill -9 $(cat /opt/gpu-fleet/service/gate/supervise/pid); kill -9 -$(cat /run/gpu-fleet/vllm.group)"
LATENCIES = (0.05, 0.4, 1.5)  # seconds of an answer
LONGEST_TURNS = 100_000


@dataclass
class Door:
    """Since when a gate may have been open, until when, when it was opened last, and when its host ended."""

    spans: list[list[float]] = field(default_factory=list)
    opened: float = 0.0
    kills: list[Span] = field(default_factory=list)

    def opens(self) -> None:
        """Note that somebody begins to open it."""
        if not self.spans or self.spans[-1][1] < math.inf:
            self.spans.append([time.monotonic(), math.inf])

    def shows(self, sight: HostObservation) -> None:
        """Note a look that was taken after it was opened last: the gate was closed by then at the latest."""
        if sight.look.gate is Gate.CLOSED and sight.look.at > self.opened and self.spans:
            self.spans[-1][1] = min(self.spans[-1][1], time.monotonic())


@dataclass(eq=False)
class LeavingHosts:
    """Satisfies all ports but the table, over hosts that serve. `chance` chooses who leaves, and how."""

    rented: Sequence[Rented]
    store: Store
    seed: int = 0
    doors: dict[SlotId, Door] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    troubles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.places = [SlotId(FLEET, index) for index in range(len(self.rented))]
        self.calls = HostCalls(self._address)
        self.doors = {place: Door([[0.0, math.inf]]) for place in self.places}
        self._guard = threading.Lock()

    def play(self, ends: int, rules: Rules | None = None) -> None:
        """Run turns of the loop until so many slots have left and ended, and each one serves again."""
        rules = replace(rules or Rules(), plan=self._plan)
        tasks = Threads(time.sleep, len(self.rented), self.failed)
        table = Table(self.store, time.time)
        loop = Loop(Ports(table, self, self, self, self, tasks, self, self, self), rules)
        self.wanted = ends
        for _turn in range(LONGEST_TURNS):
            drive(loop.turn(), time.sleep)
            if self.counts["destroyed"] >= ends and all(row.state is State.READY for row in table.slots(FLEET)):
                return
            assert not self.troubles, self.troubles

    def end(self) -> None:
        """Close the connections."""
        self.calls.end()

    def spans(self, place: SlotId) -> list[Span]:
        """Return when the gate may have been open, by the monotonic clock."""
        return [(begin, end) for begin, end in self.doors[place].spans]

    def _address(self, place: SlotId) -> Address:
        host = self.rented[place.slot].host
        return Address("127.0.0.1", host.ports[22], host.key.fingerprint, USER_KEY.private)

    def _plan(
        self, _desired: int, _elastic: object, slots: Sequence[Slot], seen: Mapping[int, HostLoad], _wall: float
    ) -> Plan:
        rows = {slot.index: slot for slot in slots}
        moves = []
        # Each that ended, came back or is about to end counts.
        free = self.wanted + self.counts[SlotEvent.REOPEN.value] - self.counts[SlotEvent.LEAVE.value]
        for place in self.places:
            row, look = rows.get(place.slot, Slot(place.slot)), seen.get(place.slot)
            if row.state is State.FAILED:
                moves.append(Move(Act.CLEAR, place.slot, WHY))
            elif row.state is State.ABSENT:
                moves.append(Move(Act.START, place.slot, WHY))
            elif row.state is State.READY and look is not None and look.known and free > 0:
                free -= 1
                strict = look.in_flight == 0 and self.chance.random() < 0.7
                self._take_its_time(place)
                moves.append(Move(Act.LEAVE, place.slot, WHY, strict))
        return Plan(tuple(moves))

    def _take_its_time(self, place: SlotId) -> None:
        """Have the next answers of a host take another time."""
        seconds = self.chance.choice(LATENCIES)
        self.rented[place.slot].host.namespaces.write("/etc/sandbox-faults", f"vllm_latency_s {seconds}\n", 0o644)

    # -- clock, money, bounds, market

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    def money(self, _fleet: str, _applied: object, _rows: object) -> Money:
        return Money(0.5)

    def applied(self, *, fresh: bool = False) -> Mapping[str, Fleet]:
        return {FLEET: Fleet(Elastic(max=len(self.rented)), 0.5)}

    def lives(self, places: Collection[SlotId], *, fresh: bool = False) -> Mapping[SlotId, MarketStatus]:
        return dict.fromkeys(places, MarketStatus.THERE)

    # -- hosts

    def look(self, places: Collection[SlotId]) -> Mapping[SlotId, HostObservation]:
        found = self.calls.look(places)
        for place, sight in found.items():
            self.doors[place].shows(sight)
        return found

    def close(self, places: Collection[SlotId]) -> None:
        self.calls.close(places)

    def open(self, places: Collection[SlotId]) -> Collection[SlotId]:
        for place in places:
            self.doors[place].opens()
        opened = self.calls.open(places)
        for place in places:
            self.doors[place].opened = time.monotonic()
        return opened

    # -- stacks

    def up(self, place: SlotId) -> Steps[UpResult]:
        while True:
            yield Pause(0.2, place.slot)
            sight = self.look([place]).get(place)
            if sight is not None and sight.look.in_flight is not None and place in self.open([place]):
                return UpResult(True, True, 0.4, "", "https://host.example")

    def digests(self, _places: Collection[SlotId]) -> Mapping[SlotId, str]:
        return {}

    def made_of(self, place: SlotId) -> Steps[str | None]:
        yield Pause(slot=place.slot)
        return ""  # as every fleet here

    def doubt(self, _places: Collection[SlotId] | None = None) -> None:
        pass  # each host stays where it is

    def destroy(self, place: SlotId) -> Steps[bool]:
        yield Pause(slot=place.slot)
        began = time.monotonic()
        self.rented[place.slot].run(BOTH)
        self.doors[place].kills.append((began, time.monotonic()))
        with self._guard:
            self.counts["destroyed"] += 1
        return True

    # -- what the loop says

    def decided(self, _decision: Decision, _plan: Plan) -> None:
        pass

    def happened(self, _fleet: str, _was: Slot, _now: Slot, event: SlotEvent, _reasons: tuple[Reason, ...]) -> None:
        with self._guard:
            self.counts[event.value] += 1

    def dropped(self, _fleet: str, _index: int | None, reason: Reason) -> None:
        with self._guard:
            self.counts[reason.rule.value] += 1

    def failed(self, what: str, error: Exception) -> None:
        self.troubles.append(f"{what}: {type(error).__name__}: {error}")
