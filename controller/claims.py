"""Which slot serves which claim; pure. A claim keeps the slot that it has for as long as that slot serves or boots."""

from collections.abc import Iterable, Sequence

from controller.demand import Claim
from controller.slots import CAPACITY, Slot, State


def assign(slots: Sequence[Slot], claims: Iterable[Claim]) -> dict[int, str | None]:
    """Return the slots whose claim changes, by index, with the new claim's id; None frees the slot.

    Claims beyond the slots that there are wait. A slot that serves comes before one that boots, a low index before a high
    one. `claims` are the live ones.
    """
    missing = {claim.id: claim.count for claim in claims}
    free, changed = [], dict[int, str | None]()
    for slot in sorted(slots, key=lambda slot: (slot.state is not State.READY, slot.index)):
        if slot.state not in CAPACITY:
            continue
        if slot.claim is not None and missing.get(slot.claim, 0) > 0:
            missing[slot.claim] -= 1
            continue
        free.append(slot)
        if slot.claim is not None:
            changed[slot.index] = None
    waiting = [claim for claim, count in missing.items() for _ in range(count)]
    for slot, claim in zip(free, waiting, strict=False):
        changed[slot.index] = claim
    return changed
