"""A market, hosts, clients, a table of slots and locks in memory, on a virtual clock that plays processes as generators.

A process yields the seconds that pass until it goes on. Each yield is a seam: there it may be killed, stalled, or find that
others have acted. Invariants that hold at each act are checked where the act happens; a broken one raises `Broken`.
"""

import math
from dataclasses import dataclass, field

from config.elastic import Elastic
from controller.demand import FRESH_SECONDS, SILENT, Claim, Queue, Seen
from controller.leaving import Gate, Look
from controller.money import Money, Period, Spend
from controller.slots import CAPACITY, Slot, State
from tests.doubles.elastic.timeline import Process, Timeline

CEILING = 0.5
HOUR = 3600.0
DAY_SECONDS = 3 * HOUR  # the budget's period
SAMPLE_SECONDS = 5.0
LASTING_SECONDS = 40.0  # load that no controller that watches can overlook


@dataclass(eq=False)
class Instance:
    """One rented machine and its host."""

    number: int
    index: int
    price: float
    born: float
    ready_at: float
    gate: Gate = Gate.CLOSED
    booted: bool = False
    dead: bool = False
    silent_until: float = 0.0
    untold_until: float = 0.0  # monitoring has its old sample alone
    stuck: bool = False  # its gauge never comes down to 0 while its gate is closed
    active: dict[int, float] = field(default_factory=dict)  # request -> when the gauge shows it
    admitted: int = 0
    logged: int = 0
    used_at: float = 0.0
    ended: float | None = None


@dataclass
class World(Timeline):
    """One account, one stack, one elastic fleet."""

    elastic: Elastic = field(default_factory=lambda: Elastic(max=1))
    budget: float = 0.0
    jumps: int = 0
    number: int = 0
    broken_market: bool = False
    metrics_down: float = 0.0  # until when
    leader: Process | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.applied: Elastic | None = self.elastic
        self.instances: list[Instance] = []
        self.all_instances: list[Instance] = []
        self.rows: dict[int, Slot] = {}
        self.locks: dict[int, Process] = {}
        self.claims: dict[str, Claim] = {}
        self.held: dict[int, float] = {}
        self.asked_at = 0.0
        self.samples: list[tuple[float, int]] = []  # (moment, load)
        self.short_since: float | None = None
        self.failed: dict[int, tuple[float, int, int]] = {}  # index -> (moment, failures, jumps then)

    # -- clients

    def ask(self, seconds: float, instance: Instance | None = None) -> None:
        """Send one request that takes so long, to an instance or to any whose gate is open; else it is held."""
        self.asked_at = self.now
        doors = [one for one in self.instances if one.gate is Gate.OPEN and not one.dead]
        if instance is None or instance not in doors:
            instance = self.chance.choice(doors) if doors else None
        if instance is None:
            self.number += 1
            number = self.number
            self.held[number] = seconds
            self.at(120.0, lambda: self.held.pop(number, None))
            return
        self._admit(instance, seconds)

    def _admit(self, instance: Instance, seconds: float) -> None:
        self.number += 1
        number = self.number
        instance.active[number] = self.now + self.chance.random() * 0.3
        instance.admitted += 1
        instance.used_at = self.now
        self.at(seconds, lambda: self._answered(instance, number))

    def _answered(self, instance: Instance, number: int) -> None:
        if instance.active.pop(number, None) is not None:
            instance.logged += 1
            instance.used_at = self.now
            row = self.rows.get(instance.index)
            if row is not None and row.state is not State.ENDING:  # what ends is no reason to keep another
                self.asked_at = self.now

    # -- hosts

    def open(self, instance: Instance) -> None:
        if instance.booted and not instance.dead and instance in self.instances:
            instance.gate = Gate.OPEN
            held, self.held = self.held, {}
            for seconds in held.values():
                self._admit(instance, seconds)

    def close(self, instance: Instance) -> None:
        if self.answers(instance):
            instance.gate = Gate.CLOSED

    def answers(self, instance: Instance) -> bool:
        return (
            instance in self.instances and instance.booted and not instance.dead and self.now >= instance.silent_until
        )

    def in_flight(self, instance: Instance) -> int:
        shown = sum(at <= self.now for at in instance.active.values())
        if instance.stuck and instance.gate is Gate.CLOSED:
            instance.used_at = self.now
            return max(shown, 1)
        return shown

    def look(self, instance: Instance | None, moment: float) -> Look:
        """Ask a host itself."""
        if instance is None or not self.answers(instance):
            return Look(moment, Gate.UNKNOWN)
        return Look(moment, instance.gate, self.in_flight(instance), str(instance.logged))

    def told(self, index: int) -> Seen:
        """Read what is known of the load of one slot's instance: fresh, late, wrong and late, or nothing."""
        instance = self.find(index)
        if instance is None or not self.answers(instance) or self.now < max(self.metrics_down, instance.untold_until):
            if instance is not None and self.now < instance.untold_until:
                return Seen(0, 10 * HOUR, FRESH_SECONDS + 60)  # the last sample before the silence
            return SILENT
        idle = 0.0 if instance.active else self.now - instance.used_at
        return Seen(self.in_flight(instance), idle, self.chance.random() * 20, str(instance.logged))

    def queue(self) -> Queue:
        return Queue(None if self.now < self.metrics_down else len(self.held))

    # -- the market

    def find(self, index: int) -> Instance | None:
        return next((one for one in self.instances if one.index == index), None)

    def rent(self, index: int) -> Instance:
        if self.find(index):
            self.wrong(f"slot {index} is rented twice")
        if any(row.state is State.ABSENT for row in [self.rows.get(index, Slot(index))]):
            self.wrong(f"slot {index} is rented, and its row is absent")
        if self.applied is None or index >= self.applied.max:
            self.wrong(f"slot {index} is rented, and the applied bounds are {self.applied}")
        self._within_budget()
        price = CEILING * (0.5 + self.chance.random() / 2)
        boot = 20 + self.chance.random() * 70
        self.number += 1
        instance = Instance(self.number, index, price, self.now, self.now + boot, used_at=self.now)
        self.instances.append(instance)
        self.all_instances.append(instance)
        self.count("rented")
        return instance

    def end(self, instance: Instance, by_scaling: bool) -> None:
        if instance not in self.instances:
            return
        if by_scaling and instance.active and not instance.dead:
            self.wrong(f"slot {instance.index} is destroyed with {len(instance.active)} requests under way")
        row = self.rows.get(instance.index, Slot(instance.index))
        if by_scaling and row.state not in (State.RENTING, State.ENDING):
            self.wrong(f"slot {instance.index} is destroyed, and its row is {row.state.value}")
        instance.active.clear()
        instance.gate = Gate.CLOSED
        instance.ended = self.now
        self.instances.remove(instance)

    # -- money

    def spent(self, until: float) -> float:
        total = 0.0
        for one in self.all_instances:
            total += max(0.0, min(until, one.ended if one.ended is not None else until) - one.born) * one.price
        return total / HOUR

    def money(self) -> Money:
        if not self.budget:
            return Money(CEILING)
        age = self.chance.random() * 300
        spent = None if self.chance.random() < 0.05 else Spend(self.spent(self.now - age), age)
        return Money(CEILING, (Period("day", self.budget, (DAY_SECONDS - self.now) / HOUR, spent),))

    def _within_budget(self) -> None:
        if not self.budget:
            return
        hours = (DAY_SECONDS - self.now) / HOUR
        most = self.spent(self.now) + (len(self.instances) + 1) * CEILING * hours
        if most > self.budget + 1e-6:
            self.wrong(f"the rent may cost ${most:.2f} of ${self.budget:.2f}")

    # -- the table

    def write(self, meant: Slot, new: Slot) -> bool:
        """Write a row if nobody has written it since it was read."""
        row = self.rows.get(meant.index, Slot(meant.index))
        if row.version != meant.version:
            return False
        self.rows[new.index] = new
        if new.state is State.ABSENT and self.find(new.index):
            self.wrong(f"slot {new.index} is absent, and its instance is rented")
        if new.state is not row.state:
            self.say(f"slot {new.index}: {row.state.value} -> {new.state.value}")
            self.count(new.state.value)
        return True

    # -- locks of slots, as the engine's: a dead holder's lock is cancelled

    def lock(self, index: int, process: Process) -> bool:
        holder = self.locks.get(index)
        if holder is not None and holder.alive and not holder.done and holder is not process:
            return False
        self.locks[index] = process
        return True

    def unlock(self, index: int, process: Process) -> None:
        if self.locks.get(index) is process:
            del self.locks[index]

    # -- truth

    def load(self) -> int:
        return len(self.held) + sum(len(one.active) for one in self.instances)

    def live_claims(self) -> list[Claim]:
        return [claim for claim in self.claims.values() if claim.expires_at > self.wall()]

    def needed(self, load: float, bounds: Elastic | None) -> int:
        """Return how many instances so much load needs at least, with the tolerance, as the bounds allow."""
        if bounds is None:
            return 0
        need = math.ceil(load / bounds.requests_per_instance / 1.1 - 1e-9)
        return min(bounds.max, max(bounds.min, need))

    def sample(self) -> None:
        """Note the load, and since when capacity has been short of it."""
        self.samples.append((self.now, self.load()))
        if self.needed(self.lasting(), self.applied) <= sum(row.state in CAPACITY for row in self.rows.values()):
            self.short_since = None
        elif self.short_since is None:
            self.short_since = self.now
        self.at(SAMPLE_SECONDS, self.sample)

    def lasting(self, seconds: float = LASTING_SECONDS) -> int:
        """Return the least load of the last seconds."""
        back = int(seconds / SAMPLE_SECONDS) + 1
        return min((load for _at, load in self.samples[-back:]), default=0)

    def most_lasting(self, window: float, seconds: float = LASTING_SECONDS) -> int:
        """Return the largest load of the window that lasted for so many seconds."""
        back = int(seconds / SAMPLE_SECONDS) + 1
        loads = [load for at, load in self.samples if at >= self.now - window]
        return max((min(loads[i : i + back]) for i in range(len(loads) - back + 1)), default=0)
