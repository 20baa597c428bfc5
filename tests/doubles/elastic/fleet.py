"""One elastic fleet of a played world: its bounds and config, its clients, its rows, and the truth of its load."""

import math
from dataclasses import dataclass, field

from config.elastic import Elastic
from config.rollout import RolloutConfig
from controller.demand import FRESH_SECONDS, SILENT, Claim, HostLoad, Queue
from controller.leaving import Gate
from controller.ports import Fleet, SlotId
from controller.slots import CAPACITY, Slot, State
from tests.doubles.elastic.account import HOUR, Account
from tests.doubles.elastic.host import Instance

SAMPLE_SECONDS = 5.0
LASTING_SECONDS = 40.0  # load that no controller that watches can overlook
HOLD_SECONDS = 120.0


@dataclass(eq=False)
class PlayedFleet:
    """`applied` are the bounds that the main stack applied last, None once it is destroyed."""

    world: Account
    name: str
    elastic: Elastic
    ceiling: float = 0.5
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    edits: int = 0
    edited_at: float = 0.0
    broken: set[str] = field(default_factory=set)  # digests of configs with which no instance serves
    elsewhere: set[str] = field(default_factory=set)  # digests that take another machine
    refused: dict[str, dict[int, float]] = field(default_factory=dict)  # digest -> slots whose change failed, and when
    states: dict[int, tuple[int, str]] = field(default_factory=dict)  # of slots' stacks: which instance, made of what
    refuses: dict[int, str] = field(default_factory=dict)  # slots whose last change failed, and to what
    rows: dict[int, Slot] = field(default_factory=dict)
    instances: list[Instance] = field(default_factory=list)
    held: dict[int, float] = field(default_factory=dict)
    asked_at: float = 0.0
    samples: list[tuple[float, int]] = field(default_factory=list)  # (moment, load)
    short_since: float | None = None
    shut: dict[int, float] = field(default_factory=dict)  # slots that should serve -> since when the gate is closed
    failed: dict[int, tuple[float, int, int]] = field(default_factory=dict)  # index -> (moment, failures, jumps then)

    def __post_init__(self) -> None:
        self.applied: Elastic | None = self.elastic

    # -- what is applied

    @property
    def digest(self) -> str:
        return f"{self.name}-{self.edits}"

    def port(self) -> Fleet | None:
        """Return the fleet as the main stack exports it."""
        return None if self.applied is None else Fleet(self.applied, self.ceiling, self.digest, None, self.rollout)

    def edit(self, *, broken: bool, elsewhere: bool) -> None:
        """Apply another image, model or argument."""
        self.edits += 1
        self.edited_at = self.world.now
        if broken:
            self.broken.add(self.digest)
        if elsewhere:
            self.elsewhere.add(self.digest)
        self.world.say(f"{self.name} is edited: {self.digest}{', broken' if broken else ''}")

    # -- clients

    def ask(self, seconds: float, instance: Instance | None = None) -> None:
        """Send one request that takes so long, to an instance or to any whose gate is open; else it is held."""
        world = self.world
        self.asked_at = world.now
        doors = [one for one in self.instances if one.gate is Gate.OPEN and one.serves]
        if instance is None or instance not in doors:
            instance = world.chance.choice(doors) if doors else None
        if instance is None:
            number = world.next_number()
            self.held[number] = seconds
            world.at(HOLD_SECONDS, lambda: self.held.pop(number, None))
            return
        self._admit(instance, seconds)

    def _admit(self, instance: Instance, seconds: float) -> None:
        world = self.world
        number = world.next_number()
        instance.active[number] = world.now + world.chance.random() * 0.3
        instance.admitted += 1
        instance.used_at = world.now
        world.at(seconds, lambda: self._answered(instance, number))

    def _answered(self, instance: Instance, number: int) -> None:
        if instance.active.pop(number, None) is not None:
            instance.logged += 1
            instance.used_at = self.world.now
            row = self.rows.get(instance.index)
            if row is not None and row.state is not State.ENDING:  # what ends is no reason to keep another
                self.asked_at = self.world.now

    def admit_held(self, instance: Instance) -> None:
        held, self.held = self.held, {}
        for seconds in held.values():
            self._admit(instance, seconds)

    def queue(self) -> Queue:
        return Queue(None if self.world.now < self.world.metrics_down else len(self.held))

    # -- slots

    def find(self, index: int) -> Instance | None:
        return next((one for one in self.instances if one.place.slot == index), None)

    def told(self, index: int) -> HostLoad:
        """Read what is known of the load of one slot's instance: fresh, late, wrong and late, or nothing."""
        world, instance = self.world, self.find(index)
        if instance is None:
            return SILENT
        if world.now < instance.untold_until:
            return HostLoad(0, 10 * HOUR, FRESH_SECONDS + 60)  # the last sample before the silence
        if world.now < world.metrics_down or not world.answers(instance):
            return SILENT
        idle = 0.0 if instance.active else world.now - instance.used_at
        age = world.chance.random() * 20
        return HostLoad(instance.shown(world.now), idle, age, str(instance.logged), opens=instance.may_open)

    def write(self, meant: Slot, new: Slot) -> bool:
        """Write a row if nobody has written it since it was read."""
        world = self.world
        row = self.rows.get(meant.index, Slot(meant.index))
        if row.version != meant.version:
            return False
        self.rows[new.index] = new
        if new.state is State.ABSENT and self.find(new.index):
            world.wrong(f"slot {new.index} of {self.name} is absent, and its instance is rented")
        if new.state is not row.state:
            world.say(f"slot {new.index} of {self.name}: {row.state.value} -> {new.state.value}")
            world.count(new.state.value)
        return True

    def rent(self, index: int) -> Instance:
        """Take a machine for a slot."""
        world = self.world
        place = SlotId(self.name, index)
        if self.find(index):
            world.wrong(f"{place} is rented twice")
        if self.rows.get(index, Slot(index)).state is State.ABSENT:
            world.wrong(f"{place} is rented, and its row is absent")
        if self.applied is None or index >= self.applied.max:
            world.wrong(f"{place} is rented, and the applied bounds are {self.applied}")
        world.within_budget(self.ceiling)
        price = self.ceiling * (0.5 + world.chance.random() / 2)
        boot = 20 + world.chance.random() * 70
        instance = Instance(world.next_number(), place, price, self.digest, world.now, world.now + boot)
        instance.used_at = instance.renewed = world.now
        self.instances.append(instance)
        world.all_instances.append((instance, self.ceiling))
        world.count("rented")
        return instance

    # -- truth

    def load(self) -> int:
        return len(self.held) + sum(len(one.active) for one in self.instances)

    def live_claims(self) -> list[Claim]:
        wall = self.world.wall()
        return [one for one in self.world.claims.values() if one.fleet == self.name and one.expires_at > wall]

    def needed(self, load: float, bounds: Elastic | None) -> int:
        """Return how many instances so much load needs at least, with the tolerance, as the bounds allow."""
        if bounds is None:
            return 0
        need = math.ceil(load / bounds.requests_per_instance / 1.1 - 1e-9)
        return min(bounds.max, max(bounds.min, need))

    def sample(self) -> None:
        """Note the load, since when capacity has been short of it, and since when gates are closed."""
        down = {one.index for one in self.instances if one.gate is Gate.CLOSED}
        ready = [index for index, row in self.rows.items() if row.state is State.READY]
        self.shut = {index: self.shut.get(index, self.world.now) for index in ready if index in down}
        self.samples.append((self.world.now, self.load()))
        if not self.is_short():
            self.short_since = None
        elif self.short_since is None:
            self.short_since = self.world.now
        self.world.at(SAMPLE_SECONDS, self.sample)

    def is_short(self) -> bool:
        """Say whether lasting load needs more than serve or boot."""
        return self.needed(self.lasting(), self.applied) > sum(row.state in CAPACITY for row in self.rows.values())

    def lasting(self, seconds: float = LASTING_SECONDS) -> int:
        """Return the least load of the last seconds."""
        back = int(seconds / SAMPLE_SECONDS) + 1
        return min((load for _at, load in self.samples[-back:]), default=0)

    def most_lasting(self, window: float, seconds: float = LASTING_SECONDS) -> int:
        """Return the largest load of the window that lasted for so many seconds."""
        back = int(seconds / SAMPLE_SECONDS) + 1
        since = self.world.now - window
        recent = self.samples[-int(window / SAMPLE_SECONDS) - 2 :]
        loads = [load for at, load in recent if at >= since]
        return max((min(loads[i : i + back]) for i in range(len(loads) - back + 1)), default=0)
