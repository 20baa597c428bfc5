"""The life of one slot: the small Pulumi stack that holds one elastic instance; pure.

    absent -> renting -> ready <-> leaving -> ending -> absent
                 |         |          |          |
                 +---------+----------+-> failed-+

The controller writes a slot's new state before it acts on it. A controller that dies in between leaves a row that tells the
next one the step that it meant. Each change raises the row's `version`, and a writer names the version that it read. If two
writers name the same version, the second one fails. A slot process writes, too, once it holds the slot's lock.
"""

from dataclasses import dataclass, replace
from enum import Enum

COOL_SECONDS, COOL_MOST_SECONDS = 60.0, 3600.0


class State(Enum):
    """Where a slot is in its life."""

    ABSENT = "absent"  # there is no stack, and nothing is paid
    RENTING = "renting"  # its stack's `up` runs, or is to run
    READY = "ready"  # its endpoint answers
    LEAVING = "leaving"  # its gate closes, and it waits for its last request; it can come back
    ENDING = "ending"  # its stack's destroy runs, or is to run; it cannot come back
    FAILED = "failed"  # its `up` failed, or its instance is dead; something may still be rented


class SlotEvent(Enum):
    """An event that changes a slot's state."""

    RENT = "rent"
    BEGAN = "began"  # a process holds the slot's lock; what an earlier process says later is of an older version
    SERVED = "served"
    BROKE = "broke"  # its `up` failed; if an instance is rented, it may serve
    DIED = "died"  # it surely serves no client: its gate never opened, or its own refresh says that the host is dead
    WITHDRAWN = "withdrawn"  # its `up` found that the fleet no longer wants it
    LEAVE = "leave"
    REOPEN = "reopen"
    END = "end"
    GONE = "gone"  # no instance is rented under its label, for certain


CAPACITY = frozenset({State.RENTING, State.READY})  # what serves or will: a booting slot counts

_NEXT = {
    (State.ABSENT, SlotEvent.RENT): State.RENTING,
    (State.RENTING, SlotEvent.BEGAN): State.RENTING,
    (State.READY, SlotEvent.BEGAN): State.READY,
    (State.LEAVING, SlotEvent.BEGAN): State.LEAVING,
    (State.ENDING, SlotEvent.BEGAN): State.ENDING,
    (State.RENTING, SlotEvent.SERVED): State.READY,
    (State.RENTING, SlotEvent.BROKE): State.FAILED,
    (State.RENTING, SlotEvent.DIED): State.FAILED,
    (State.RENTING, SlotEvent.WITHDRAWN): State.ENDING,
    (State.READY, SlotEvent.SERVED): State.READY,
    (State.READY, SlotEvent.LEAVE): State.LEAVING,
    (State.READY, SlotEvent.BROKE): State.FAILED,
    (State.READY, SlotEvent.DIED): State.FAILED,
    (State.READY, SlotEvent.GONE): State.ABSENT,
    (State.LEAVING, SlotEvent.REOPEN): State.READY,
    (State.LEAVING, SlotEvent.END): State.ENDING,
    (State.LEAVING, SlotEvent.DIED): State.FAILED,
    (State.LEAVING, SlotEvent.GONE): State.ABSENT,
    (State.FAILED, SlotEvent.END): State.ENDING,
    (State.ENDING, SlotEvent.DIED): State.ENDING,
    (State.FAILED, SlotEvent.GONE): State.ABSENT,
    (State.ENDING, SlotEvent.GONE): State.ABSENT,
}


class Impossible(Exception):
    """An event that a slot in this state cannot have."""


@dataclass(frozen=True)
class Slot:
    """One row of the controller's table.

    `failed_at` is unix seconds. `claim` is the id of the claim that it serves. `dead`: it serves no client, for certain.
    `follows` is the digest of an edit that its `up` is to bring, or failed to bring, until it serves again.
    """

    index: int
    state: State = State.ABSENT
    version: int = 0
    failures: int = 0  # on end, since it served last
    failed_at: float | None = None
    dead: bool = False
    claim: str | None = None
    usd_per_hour: float | None = None  # unknown until it serves
    follows: str | None = None

    @property
    def paid(self) -> bool:
        """Whether something may be rented for it."""
        return self.state is not State.ABSENT

    @property
    def changes(self) -> bool:
        """Whether its `up` brings an edit, or is to go on with that. Until it serves by it, `up` mends its faults."""
        return self.state is State.READY and self.follows is not None


def advance(slot: Slot, event: SlotEvent, wall: float, usd_per_hour: float | None = None) -> Slot:
    """Return the slot after an event. Raises Impossible.

    A slot that leaves capacity loses its claim, so that the claim moves to another slot.
    """
    after = _NEXT.get((slot.state, event))
    if after is None:
        raise Impossible(f"slot {slot.index} is {slot.state.value}, and cannot {event.value}")
    moved = replace(slot, state=after, version=slot.version + 1)
    if after not in CAPACITY:
        moved = replace(moved, claim=None)
    if event is SlotEvent.SERVED:
        return replace(moved, failures=0, failed_at=None, usd_per_hour=usd_per_hour, follows=None)
    if event is SlotEvent.REOPEN:
        return replace(moved, follows=None)  # its gate is open
    if after is State.ENDING and event is SlotEvent.DIED:
        return replace(moved, dead=True)
    if after is State.FAILED:
        return replace(moved, failures=slot.failures + 1, failed_at=wall, dead=event is SlotEvent.DIED)
    if after is State.ABSENT:
        return replace(moved, dead=False, usd_per_hour=None, follows=slot.follows if slot.failures else None)
    return moved


def cool_until(slot: Slot) -> float:
    """Return the unix second from which a slot that failed may try again: after 1, 2, 4, ... minutes, an hour at most."""
    if not slot.failures or slot.failed_at is None:
        return 0.0
    return slot.failed_at + min(COOL_MOST_SECONDS, COOL_SECONDS * 2.0 ** min(slot.failures - 1, 30))


def set_back(slot: Slot, wall: float) -> Slot | None:
    """Return the slot with its failure now if the clock says that it lies in the future, else None.

    Then the clock went back. Without this the slot would cool off until the clock comes to that moment again.
    """
    if slot.failed_at is None or slot.failed_at <= wall:
        return None
    return replace(slot, failed_at=wall, version=slot.version + 1)
