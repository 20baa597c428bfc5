"""Choose the moves of slots that bring a fleet to its desired count; pure.

A booting slot counts as capacity on the way up. On the way down it counts as nothing: an instance that serves leaves only if
enough others serve already.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum

from config.elastic import Elastic
from controller.demand import SILENT, HostLoad, Load
from controller.reasons import Reason, Rule
from controller.slots import CAPACITY, Slot, State, cool_until

CLOSED_SECONDS = 60.0  # a host that closes its gate to end itself is gone sooner
FAILING_MOST = 3  # while so many slots of one fleet fail, the controller tries no further index


class Act(Enum):
    """An act of the controller on a slot."""

    START = "start"  # write `renting`, then run its stack's `up`
    REOPEN = "reopen"  # open the gate, then write `ready`
    LEAVE = "leave"  # write `leaving`, then close the gate
    CLEAR = "clear"  # a failed slot: write `ending`, then run its stack's destroy
    MEND = "mend"  # a `ready` slot: run its stack's `up`, which proves the endpoint and opens the gate


@dataclass(frozen=True)
class Move:
    """One act on one slot.

    `strict`: the slot was idle for the whole window. It serves again if a request arrives before its gate closes.
    """

    act: Act
    index: int
    reason: Reason
    strict: bool = False


@dataclass(frozen=True)
class Plan:
    """The moves of one tick. `held`: why the plan makes fewer moves than the count asks for."""

    moves: tuple[Move, ...]
    held: tuple[Reason, ...] = ()


def plan(
    desired: int,
    elastic: Elastic | None,
    slots: Sequence[Slot],
    seen: Mapping[int, HostLoad],
    wall: float,
    capacity: AbstractSet[State] = CAPACITY,
    failing_most: int = FAILING_MOST,
) -> Plan:
    """Return the moves towards `desired`: clear failed slots, mend closed ones, reopen, start; or leave.

    `slots` are the rows of the table, absent ones that failed before included. `wall` is unix seconds. Without bounds, a
    destroy of the stack is under way. The plan then only clears failed slots.
    """
    moves = [
        Move(Act.CLEAR, slot.index, Reason(Rule.CLEAR, f"it failed, {slot.failures} times on end"))
        for slot in slots
        if slot.state is State.FAILED
    ]
    if elastic is None:
        return Plan(tuple(moves))
    moves += mended(slots, seen)
    missing = desired - sum(slot.state in capacity for slot in slots)
    if missing > 0:
        back = reopened(slots, seen, missing)
        fresh, held = started(slots, elastic, missing - len(back), wall, failing_most)
        return Plan((*moves, *back, *fresh), held)
    leaving, held = left(slots, elastic, seen, desired)
    return Plan((*moves, *leaving), held)


def mended(slots: Sequence[Slot], seen: Mapping[int, HostLoad]) -> list[Move]:
    """Return moves that mend `ready` slots with a closed gate: the host restarted, or a late controller closed it."""
    closed = {slot.index: seen.get(slot.index, SILENT).closed_seconds for slot in slots if slot.state is State.READY}
    return [
        Move(Act.MEND, index, Reason(Rule.GATE_CLOSED, f"it should serve, and its gate is closed for {seconds:.0f} s"))
        for index, seconds in closed.items()
        if seconds >= CLOSED_SECONDS
    ]


def reopened(slots: Sequence[Slot], seen: Mapping[int, HostLoad], missing: int) -> list[Move]:
    """Return moves that reopen leaving slots. The order is the reverse of the order in which slots are chosen to leave.

    A host that started anew meanwhile, or that ends itself, lets no controller open its gate. Its slot does not come back.
    """
    able = [slot for slot in slots if slot.state is State.LEAVING and seen.get(slot.index, SILENT).opens is not False]
    leaving = sorted(able, key=lambda slot: _ease(slot, seen))
    return [
        Move(Act.REOPEN, slot.index, Reason(Rule.REOPEN, "it is wanted again before its end", {"missing": missing}))
        for slot in leaving[::-1][:missing]
    ]


def spared(elastic: Elastic, slots: Sequence[Slot], seen: Mapping[int, HostLoad], load: Load) -> dict[int, Reason]:
    """Return the leaving slots that must not end now, and why: part of the load is unknown, so the fleet may need them.

    A controller that has just begun does not know yet what another one measured. A slot that cannot come back is not spared.
    """
    if not load.unknown or sum(slot.state in CAPACITY for slot in slots) >= elastic.max:
        return {}
    why = Reason(Rule.UNKNOWN, f"the load of {', '.join(load.unknown)} is unknown, so it may be wanted back")
    able = [slot.index for slot in slots if slot.state is State.LEAVING]
    return {index: why for index in able if seen.get(index, SILENT).opens is not False}


def started(
    slots: Sequence[Slot], elastic: Elastic, missing: int, wall: float, failing_most: int = FAILING_MOST
) -> tuple[list[Move], tuple[Reason, ...]]:
    """Return the slots to rent, the lowest free indexes first, and why they are fewer than the missing ones.

    At most `max` slots cost money at once, including those that leave, end or failed. A failed index waits until it has
    cooled off. While several fail, the controller tries no further index.
    """
    if missing <= 0:
        return [], ()
    rows = {slot.index: slot for slot in slots}
    free = [rows.get(index, Slot(index)) for index in range(elastic.max)]
    free = [slot for slot in free if not slot.paid]
    room = elastic.max - sum(slot.paid for slot in slots)
    failing = [slot for slot in slots if slot.failures]
    cool = [slot for slot in free if cool_until(slot) <= wall]
    broken = len(failing) >= failing_most
    tried = [slot for slot in cool if slot.failures or not broken]
    chosen = tried[: max(0, min(missing, room))]
    moves = [
        Move(
            Act.START,
            slot.index,
            Reason(Rule.START, f"{missing} are missing; {slot.index} is the lowest free index", {"missing": missing}),
        )
        for slot in chosen
    ]
    if len(chosen) == missing:
        return moves, ()
    return moves, _why_not_more(len(free), room, len(cool), failing if broken else [], elastic, len(chosen))


def _why_not_more(
    free: int, room: int, cool: int, failing: Sequence[Slot], elastic: Elastic, chosen: int
) -> tuple[Reason, ...]:
    reasons = []
    if room <= chosen:
        reasons.append(Reason(Rule.NO_ROOM, f"{elastic.max} are paid until some have ended", {"max": elastic.max}))
    if cool < free:
        reasons.append(Reason(Rule.COOL_OFF, f"{free - cool} slots failed and cool off", {"cooling": free - cool}))
    if failing:
        names = ", ".join(str(slot.index) for slot in failing)
        reasons.append(Reason(Rule.BREAKER, f"slots {names} fail on end; no further one is tried"))
    return tuple(reasons)


def left(
    slots: Sequence[Slot], elastic: Elastic, seen: Mapping[int, HostLoad], desired: int
) -> tuple[list[Move], tuple[Reason, ...]]:
    """Return the slots to leave, and why they are fewer than the count asks for.

    A slot that serves a claim stays, and so does one whose load is unknown. The others leave in this order: beyond `max`,
    idle, fewest requests, dearest, highest index.
    """
    ready = [slot for slot in slots if slot.state is State.READY]
    excess = len(ready) - desired
    if excess <= 0:
        return [], ()
    able = [slot for slot in ready if slot.claim is None and seen.get(slot.index, SILENT).known]
    chosen = sorted(able, key=lambda slot: (slot.index < elastic.max, *_ease(slot, seen)))[:excess]
    moves = [_leave(slot, seen[slot.index], len(ready), desired, elastic.down_seconds) for slot in chosen]
    if len(chosen) == excess:
        return moves, ()
    claimed = sum(slot.claim is not None for slot in ready)
    says = f"{excess - len(chosen)} more would leave, but {claimed} serve claims, and others do not tell their load"
    return moves, (Reason(Rule.NO_VICTIM, says, {"claimed": claimed, "ready": len(ready)}),)


def _leave(slot: Slot, look: HostLoad, ready: int, desired: int, window: float) -> Move:
    requests = look.in_flight or 0
    price = "at an unknown price" if slot.usd_per_hour is None else f"at ${slot.usd_per_hour:.3f}/h"
    says = f"{ready} serve and {desired} are wanted; slot {slot.index} has {requests} requests {price}"
    unused = requests == 0 and look.idle_seconds is not None and look.idle_seconds >= window
    facts = {
        "ready": ready,
        "desired": desired,
        "requests": requests,
        "usdPerHour": slot.usd_per_hour,
        "strict": int(unused),
    }
    return Move(Act.LEAVE, slot.index, Reason(Rule.VICTIM, says, facts), strict=unused)


def _ease(slot: Slot, seen: Mapping[int, HostLoad]) -> tuple[int, float, int]:
    """Sort slots by how little their leaving costs: fewest requests, dearest, highest index."""
    return seen.get(slot.index, SILENT).in_flight or 0, -(slot.usd_per_hour or 0.0), -slot.index
