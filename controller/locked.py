"""What a process looks at again right before it acts: at the slot's row, at the bounds, and at how old its decision is; pure.

Between a decision and its act another controller may have decided otherwise, and a person may have changed the bounds or
begun to destroy the stack. A process that rents or destroys holds the slot's lock, which keeps them out from this look on.
"""

from config.elastic import Elastic
from controller.reasons import Reason, Rule
from controller.slots import Slot, State

LATE_SECONDS = 30.0  # a decision that is older was made for another load


def late(looked_at: float, now: float) -> Reason | None:
    """Return why a move is off: its process was held up since it looked. Both moments are of its monotonic clock."""
    if 0 <= now - looked_at <= LATE_SECONDS:
        return None
    return Reason(Rule.LATE, f"it rests on a look {now - looked_at:.0f} s old", {"seconds": round(now - looked_at)})


def led(leads: bool) -> Reason | None:
    """Return why a move is off: another process may lead since the decision, and may have decided otherwise."""
    return None if leads else Reason(Rule.LED, "this process lost its lead since it looked")


def changed(meant: Slot, row: Slot | None) -> Reason | None:
    """Return why an act on the row as it was `meant` is off: somebody has written the row since. None: it is on."""
    if row is not None and (row.state, row.version) == (meant.state, meant.version):
        return None
    there = "gone" if row is None else f"{row.state.value} (version {row.version})"
    return Reason(
        Rule.SLOT_CHANGED, f"slot {meant.index} was {meant.state.value} (version {meant.version}), and is {there}"
    )


def unwanted(meant: Slot, applied: Elastic | None) -> Reason | None:
    """Return why a rent is off by the bounds that are applied now; None of bounds: the stack is being destroyed.

    An index beyond `max` is off, too: the bounds were lowered since.
    """
    if meant.state is not State.RENTING:
        return Reason(Rule.SLOT_CHANGED, f"slot {meant.index} is {meant.state.value}, and only `renting` rents")
    if applied is None:
        return Reason(Rule.FLEET_GONE, f"the fleet of slot {meant.index} is being destroyed")
    if meant.index >= applied.max:
        return Reason(Rule.BOUNDS_CHANGED, f"slot {meant.index} is beyond max, {applied.max}", {"max": applied.max})
    return None
