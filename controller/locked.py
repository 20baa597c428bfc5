"""Check right before an act that its decision still holds: the slot's row, the bounds and the decision's age. Pure.

Between a decision and its act another controller may have decided otherwise. A person may have changed the bounds, or begun
to destroy the stack. A process that rents or destroys holds the slot's lock, which keeps them out from this check on.
"""

from config.elastic import Elastic
from controller.reasons import Reason, Rule
from controller.slots import Slot, State

LATE_SECONDS = 30.0  # a decision that is older was made for another load


def late(looked_at: float, now: float) -> Reason | None:
    """Return why a move must not happen if its look is older than LATE_SECONDS, else None.

    Both moments are of the monotonic clock of the process that looked.
    """
    if 0 <= now - looked_at <= LATE_SECONDS:
        return None
    return Reason(Rule.LATE, f"it rests on a look {now - looked_at:.0f} s old", {"seconds": round(now - looked_at)})


def led(leads: bool) -> Reason | None:
    """Return why a move must not happen if this process lost its lead since the decision, else None.

    Another process may have led meanwhile and decided otherwise.
    """
    return None if leads else Reason(Rule.LED, "this process lost its lead since it looked")


def changed(meant: Slot, row: Slot | None) -> Reason | None:
    """Return why the act must not happen if the row changed since the decision, else None.

    `meant` is the row as the decision saw it, `row` the row now.
    """
    if row is not None and (row.state, row.version) == (meant.state, meant.version):
        return None
    there = "gone" if row is None else f"{row.state.value} (version {row.version})"
    return Reason(
        Rule.SLOT_CHANGED, f"slot {meant.index} was {meant.state.value} (version {meant.version}), and is {there}"
    )


def unwanted(meant: Slot, applied: Elastic | None) -> Reason | None:
    """Return why the slot must not rent by the bounds applied now, else None.

    `applied` is None while the stack is being destroyed. An index beyond `max` must not rent either: an edit has lowered the
    bounds since.
    """
    if meant.state is not State.RENTING:
        return Reason(Rule.SLOT_CHANGED, f"slot {meant.index} is {meant.state.value}, and only `renting` rents")
    if applied is None:
        return Reason(Rule.FLEET_GONE, f"the fleet of slot {meant.index} is being destroyed")
    if meant.index >= applied.max:
        return Reason(Rule.BOUNDS_CHANGED, f"slot {meant.index} is beyond max, {applied.max}", {"max": applied.max})
    return None
