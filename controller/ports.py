"""The world that the controller's loop needs, as Protocols: real ones outside, played ones in the tests.

The loop's code is generators. Each `Pause` that they yield is a seam: a moment at which the process may be killed or held up,
and at which others act. A driver waits there for real (`world/drive.py`); the played histories strike there.
"""

from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Protocol, TypeVar

from config.elastic import Elastic
from config.rollout import RolloutConfig
from controller.demand import SILENT, Claim, HostLoad, Queue
from controller.leaving import Gate, GateLook
from controller.money import Money
from controller.plan import Plan
from controller.reasons import Reason
from controller.scaling import Decision
from controller.slots import Slot, SlotEvent

Value = TypeVar("Value")


class Pause(NamedTuple):
    """Wait for so many seconds, 0 or more. `slot`: the index of the one whose host the work stands at."""

    seconds: float = 0.0
    slot: int | None = None


Steps = Generator[Pause, None, Value]


class RunEnd(NamedTuple):
    """The result of a slot process: the event for the slot's row, and the row as the process wrote it at its start.

    `proves`: if the slot serves, the rows whose change to the same config had failed before.
    """

    event: SlotEvent
    begun: Slot
    usd_per_hour: float | None
    reasons: tuple[Reason, ...]
    proves: tuple[Slot, ...] = ()


class SlotId(NamedTuple):
    """One slot of one fleet."""

    fleet: str
    slot: int  # its index

    def __str__(self) -> str:
        """Return words for people and logs."""
        return f"slot {self.slot} of {self.fleet}"


class WorldUnavailable(Exception):
    """Part of the world does not answer. The loop knows nothing of it and does nothing. The text is for the operator."""


@dataclass(frozen=True)
class Fleet:
    """An elastic fleet as the applied main stack describes it. `ceiling` is $/h of one slot at most.

    `digest` changes with everything that an instance is made of. `life_hours`: the longest that one lives, if it ends itself.
    """

    elastic: Elastic
    ceiling: float
    digest: str = ""
    life_hours: float | None = None
    rollout: RolloutConfig = field(default_factory=RolloutConfig)


@dataclass(frozen=True)
class HostObservation:
    """One look at a host: its gate, and its load."""

    look: GateLook
    seen: HostLoad = SILENT


class MarketStatus(Enum):
    """The market's status of the instance under a slot's label."""

    THERE = "there"
    DEAD = "dead"  # it names the failure of the instance
    GONE = "gone"  # none is rented, for certain
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class UpResult:
    """How an `up` of a slot's stack ended. `fresh`: nothing under it had ever served. `says` is for the operator."""

    served: bool
    fresh: bool = False
    usd_per_hour: float | None = None
    says: str = ""
    endpoint: str = ""


class SlotLock(Protocol):
    """The handle that a slot's lock gives to its block. It is true if this process got the lock."""

    def __bool__(self) -> bool:
        """Return whether this process got the lock."""

    def still(self) -> bool:
        """Return whether it still has it: a lock is lost with its connection."""


class Clock(Protocol):
    """Two clocks of this process."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    def time(self) -> float:
        """Return unix seconds."""


class Rows(Protocol):
    """The table of slots and claims. Each method raises if the table does not answer."""

    def lead(self) -> bool:
        """Return whether this process leads. The first process that asks leads while its connection lasts.

        The call that notices a lost connection returns False.
        """

    def fleets_with_slots(self) -> Iterable[str]:
        """Return the fleets that have rows."""

    def slots(self, fleet: str) -> tuple[Slot, ...]:
        """Return the rows of a fleet."""

    def write(
        self, fleet: str, was: Slot, now: Slot, event: SlotEvent | None = None, reasons: tuple[Reason, ...] = ()
    ) -> bool:
        """Write a row, with the event, if no process has written it since `was` was read. Return whether it did."""

    def set_endpoint(self, fleet: str, index: int, endpoint: str) -> None:
        """Keep where a slot answers, until it is absent."""

    def claims(self) -> tuple[Claim, ...]:
        """Return all claims, expired ones too."""

    def slot_lock(self, fleet: str, index: int) -> AbstractContextManager[SlotLock]:
        """Hold a slot's lock, or say at once that another process has it."""


class Fleets(Protocol):
    """The applied main stack."""

    def applied(self, *, fresh: bool = False) -> Mapping[str, Fleet]:
        """Return the elastic fleets; one that is being destroyed is absent. `fresh`: read now. Raises Unavailable."""


class Hosts(Protocol):
    """The slots' hosts. Many at once, each in bounded time. The answer leaves out hosts that do not answer."""

    def look(self, places: Collection[SlotId]) -> Mapping[SlotId, HostObservation]:
        """Return what each host tells now."""

    def close(self, places: Collection[SlotId]) -> None:
        """Close gates. The next look shows which are closed."""

    def open(self, places: Collection[SlotId]) -> Collection[SlotId]:
        """Open the gates of hosts that serve; return those that are open."""


class Market(Protocol):
    """The market's word on slots, under the label of each."""

    def lives(self, places: Collection[SlotId], *, fresh: bool = False) -> Mapping[SlotId, MarketStatus]:
        """Return the market's word on each place; absent places are unknown. Never raises."""


class Stacks(Protocol):
    """The slots' stacks. The caller of `up`, `made_of` and `destroy` holds the slot's lock.

    They raise Unavailable if the outcome is unknown.
    """

    def up(self, place: SlotId) -> Steps[UpResult]:
        """Rent and boot an instance, or adopt and repair the one that is there; then open the gate."""

    def digests(self, places: Collection[SlotId]) -> Mapping[SlotId, str]:
        """Return the digests that this process knows, each of a slot's last `up` that ended well. Sends no request."""

    def made_of(self, place: SlotId) -> Steps[str | None]:
        """Read from the slot's state the digest of its last `up` that ended well; None if the state has none."""

    def doubt(self, places: Collection[SlotId] | None = None) -> None:
        """Read states anew: the known digests may be of earlier instances. None: forget all."""

    def destroy(self, place: SlotId) -> Steps[bool]:
        """Give back all instances under the slot's label and remove the stack. Return whether that is certain."""


class Task(Protocol):
    """A slot process that was started."""

    @property
    def done(self) -> bool:
        """Whether it has ended, however."""

    @property
    def run_end(self) -> RunEnd | None:
        """Its result at its end; None if the outcome is unknown."""


class Tasks(Protocol):
    """Run slot processes beside the loop. They end with this process."""

    def start(self, place: SlotId, steps: Steps[RunEnd | None], boots: bool) -> Task:
        """Start one. `boots`: it may take as long as a boot, and counts among those of which few run at once."""


class Purse(Protocol):
    """The cost that rents may have."""

    def money(self, fleet: str, applied: Mapping[str, Fleet], rows: Mapping[str, Sequence[Slot]]) -> Money:
        """Return budgets and spend for one fleet. Spend is unknown in it if it cannot be read.

        Raises Unavailable.
        """


class Ledger(Protocol):
    """Where decisions are written with their reasons. Never raises, and never holds the loop up."""

    def decided(self, decision: Decision, plan: Plan) -> None:
        """Note how many instances a fleet should have, and why."""

    def happened(self, fleet: str, was: Slot, now: Slot, event: SlotEvent, reasons: tuple[Reason, ...]) -> None:
        """Note a change of a row that was written."""

    def dropped(self, fleet: str, index: int | None, reason: Reason) -> None:
        """Note that the loop drops a decision."""

    def failed(self, what: str, error: Exception) -> None:
        """Note that a part of a tick failed."""


def no_queue(_fleet: str) -> Queue:
    """Return an empty queue: no gateway stands in front of the instances."""
    return Queue()


@dataclass(frozen=True)
class Ports:
    """Everything of the world together. `queue` returns the requests and jobs that wait in front of a fleet's instances."""

    rows: Rows
    fleets: Fleets
    hosts: Hosts
    market: Market
    stacks: Stacks
    tasks: Tasks
    purse: Purse
    ledger: Ledger
    clock: Clock
    queue: Callable[[str], Queue] = field(default=no_queue)


def unseen(at: float) -> HostObservation:
    """Return the sight of a host that does not answer."""
    return HostObservation(GateLook(at, Gate.UNKNOWN))
