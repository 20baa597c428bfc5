"""The loop's ports in memory, each as simple as it may be: every part is set by hand, and says what was asked of it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from config.elastic import Elastic
from config.rollout import RolloutConfig
from controller.demand import Claim, HostLoad
from controller.leaving import Gate, GateLook
from controller.loop.tick import Loop
from controller.money import Money
from controller.plan import Plan
from controller.ports import (
    Fleet,
    HostObservation,
    MarketStatus,
    Pause,
    Ports,
    RunEnd,
    SlotId,
    Steps,
    UpResult,
    WorldUnavailable,
)
from controller.reasons import Reason
from controller.scaling import Decision
from controller.slots import Slot, SlotEvent, State
from controller.world.drive import drive
from tests.doubles.clock import FakeClock


@dataclass
class Lock:
    """A slot's lock. `kept`: whether it is still held at the end."""

    taken: bool = True
    kept: bool = True

    def __bool__(self) -> bool:
        return self.taken

    def still(self) -> bool:
        return self.kept


@dataclass
class Done:
    """A slot process that ran to its end at once."""

    run_end: RunEnd | None
    done: bool = True


@dataclass
class SmallWorld:
    """Satisfies every port."""

    clock: FakeClock = field(default_factory=FakeClock)
    fleets: dict[str, Elastic] = field(default_factory=dict)
    rows: dict[SlotId, Slot] = field(default_factory=dict)
    asked: list[Claim] = field(default_factory=list)
    hosts: dict[SlotId, HostObservation] = field(default_factory=dict)
    life: dict[SlotId, MarketStatus] = field(default_factory=dict)
    came: dict[SlotId, UpResult] = field(default_factory=dict)
    leading: bool = True
    lock: Lock = field(default_factory=Lock)
    unknown: bool = False  # what is applied
    slow: bool = False  # slot processes stand still at their pauses, until `go_on` and `finish`
    begun: list[tuple[Done, Steps[RunEnd | None]]] = field(default_factory=list)
    stuck: bool = False  # slot processes do not run
    confirmed: bool = True  # by the market, that all is given back
    digest: str = "new"
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    made: dict[SlotId, str] = field(default_factory=dict)
    doubted: list[Collection[SlotId] | None] = field(default_factory=list)
    acts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    endpoints: dict[SlotId, str] = field(default_factory=dict)

    def loop(self) -> Loop:
        return Loop(Ports(self, self, self, self, self, self, self, self, self.clock))

    def tick(self, loop: Loop, seconds: float = 10.0) -> None:
        self.clock.sleep(seconds)
        drive(loop.turn(), self.clock.sleep)

    def place(self, index: int, state: State, fleet: str = "burst", requests: int | None = 0) -> SlotId:
        """Add a slot in a state, with a host that serves."""
        place = SlotId(fleet, index)
        self.rows[place] = Slot(index, state, 1, usd_per_hour=0.4)
        self.host(place, requests)
        self.life[place] = MarketStatus.THERE
        return place

    def host(self, place: SlotId, requests: int | None, gate: Gate = Gate.OPEN, mark: str = "0") -> None:
        at = self.clock.monotonic()
        self.hosts[place] = HostObservation(
            GateLook(at, gate, requests, mark), HostLoad(requests, 1e6 if not requests else 0.0, 0.0, mark)
        )

    # -- rows

    def lead(self) -> bool:
        return self.leading

    def fleets_with_slots(self) -> Collection[str]:
        return {place.fleet for place, slot in self.rows.items() if slot.paid}

    def slots(self, fleet: str) -> tuple[Slot, ...]:
        return tuple(slot for place, slot in sorted(self.rows.items()) if place.fleet == fleet)

    def write(
        self, fleet: str, was: Slot, now: Slot, event: SlotEvent | None = None, reasons: tuple[Reason, ...] = ()
    ) -> bool:
        place = SlotId(fleet, now.index)
        if self.rows.get(place, Slot(now.index)).version != was.version:
            return False
        self.rows[place] = now
        return True

    def set_endpoint(self, fleet: str, index: int, endpoint: str) -> None:
        self.endpoints[SlotId(fleet, index)] = endpoint

    def claims(self) -> tuple[Claim, ...]:
        return tuple(self.asked)

    @contextmanager
    def slot_lock(self, fleet: str, index: int) -> Iterator[Lock]:
        yield self.lock

    # -- the applied stack, hosts, market

    def applied(self, *, fresh: bool = False) -> Mapping[str, Fleet]:
        if self.unknown:
            raise WorldUnavailable("the state does not answer")
        return {name: Fleet(elastic, 0.5, self.digest, None, self.rollout) for name, elastic in self.fleets.items()}

    def look(self, places: Collection[SlotId]) -> Mapping[SlotId, HostObservation]:
        at = self.clock.monotonic()
        found = {place: self.hosts[place] for place in places if place in self.hosts}
        return {
            place: HostObservation(GateLook(at, one.look.gate, one.look.in_flight, one.look.admitted), one.seen)
            for place, one in found.items()
        }

    def _gate(self, places: Collection[SlotId], gate: Gate, word: str) -> list[SlotId]:
        changed = [place for place in places if place in self.hosts]
        for place in changed:
            look = self.hosts[place].look
            self.host(place, look.in_flight, gate, look.admitted or "0")
            if word:
                self.acts.append(f"{word} {place.fleet}-{place.slot}")
        return changed

    def close(self, places: Collection[SlotId]) -> None:
        self._gate(places, Gate.CLOSED, "closed")

    def open(self, places: Collection[SlotId]) -> Collection[SlotId]:
        return self._gate(places, Gate.OPEN, "open")

    def lives(self, places: Collection[SlotId], *, fresh: bool = False) -> Mapping[SlotId, MarketStatus]:
        return {place: self.life[place] for place in places if place in self.life}

    # -- stacks and processes

    def up(self, place: SlotId) -> Steps[UpResult]:
        yield Pause()
        self.acts.append(f"up {place.fleet}-{place.slot}")
        if place not in self.came or self.came[place].served:
            self.made[place] = self.digest
            self._gate([place], Gate.OPEN, "")
        return self.came.get(place, UpResult(True, True, 0.4, "", f"https://{place.fleet}-{place.slot}"))

    def digests(self, places: Collection[SlotId]) -> Mapping[SlotId, str]:
        return {place: self.made[place] for place in places if place in self.made}

    def made_of(self, place: SlotId) -> Steps[str | None]:
        yield Pause()
        return self.made.get(place)

    def doubt(self, places: Collection[SlotId] | None = None) -> None:
        self.doubted.append(places)

    def destroy(self, place: SlotId) -> Steps[bool]:
        yield Pause()
        self.acts.append(f"destroy {place.fleet}-{place.slot}")
        if self.confirmed:
            self.life[place] = MarketStatus.GONE
            self.hosts.pop(place, None)
            self.made.pop(place, None)
        return self.confirmed

    def start(self, place: SlotId, steps: Steps[RunEnd | None], boots: bool) -> Done:
        if self.stuck:
            return Done(None, done=False)
        if self.slow:
            self.begun.append((Done(None, done=False), steps))
            return self.begun[-1][0]
        try:
            return Done(drive(steps, self.clock.sleep))
        except WorldUnavailable as error:
            self.failed(str(place), error)
            return Done(None)

    def go_on(self) -> None:
        """Let the slot processes come to where their stacks run."""
        for _task, steps in self.begun:
            for _pause in range(3):
                next(steps)

    def finish(self) -> None:
        """Let the slot processes end."""
        for task, steps in self.begun:
            task.run_end, task.done = drive(steps, self.clock.sleep), True

    # -- money and ledger

    def money(self, fleet: str, applied: Mapping[str, Fleet], rows: Mapping[str, Sequence[Slot]]) -> Money:
        return Money(applied[fleet].ceiling)

    def decided(self, decision: Decision, plan: Plan) -> None:
        self.notes.append(f"{decision.fleet}: {decision.desired} of {decision.capacity}")

    def happened(self, fleet: str, was: Slot, now: Slot, event: SlotEvent, reasons: tuple[Reason, ...]) -> None:
        self.notes.append(f"{fleet}-{now.index}: {event.value}: {'; '.join(reason.says for reason in reasons)}")

    def dropped(self, fleet: str, index: int | None, reason: Reason) -> None:
        self.notes.append(f"{fleet}: dropped: {reason.says}")

    def failed(self, what: str, error: Exception) -> None:
        self.notes.append(f"{what} failed: {error}")
