"""Which slots follow a changed config next; pure. The rule of fixed fleets: waves of `rollout.maxUnavailable`.

An edit of image, model or another input gives the fleet another digest. Each slot that serves by an older digest runs its
`up` once, in waves. The next one begins only if the last one serves. If a change fails, the rest stays as it is until that
slot serves by the edit, or another edit comes. Slots that boot do not wait: their `up` takes the applied config, and one
that began before the edit follows once it serves.

The row of a slot that changes keeps the digest of the edit in `follows`, from before its gate closes until it serves again.
So the next controller goes on with the changes of a killed one, and two controllers together take down no more than one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from config.rollout import RolloutConfig
from controller.leaving import Gate
from controller.reasons import Reason, Rule
from controller.slots import Slot, State


@dataclass(frozen=True)
class Wave:
    """The slots whose `up` starts or goes on now, by index, and why these or why none. No reason: no slot waits."""

    starts: tuple[int, ...] = ()
    reason: Reason | None = None


def next_wave(
    slots: Sequence[Slot],
    wanted: str,
    digests: Mapping[int, str],
    rollout: RolloutConfig,
    gates: Mapping[int, Gate] | None = None,
) -> Wave:
    """Return the slots that follow next, after those that have begun.

    `digests`: what each slot was made of at its last `up` that ended well; one that is not told has not followed. `gates`: as
    they were seen; one that is not told is unknown. Without them all are open. A slot behind an unknown gate may serve.
    """
    serving = [slot for slot in slots if slot.state is State.READY]
    begun = tuple(slot.index for slot in serving if slot.changes)
    older = [slot for slot in serving if not slot.changes and digests.get(slot.index) != wanted]
    if not older:
        return Wave(begun)
    names = tuple(f"slot {slot.index}" for slot in older)
    if failed := refused(slots, wanted):
        who = ", ".join(f"slot {index}" for index in failed)
        says = f"the change of {who} failed, so {', '.join(names)} stay as they are"
        return Wave(begun, Reason(Rule.WAVE, says, {"older": names, "failed": tuple(map(str, failed))}))
    seen = {slot.index: Gate.OPEN if gates is None else gates.get(slot.index, Gate.UNKNOWN) for slot in serving}
    able = [slot for slot in older if seen[slot.index] is not Gate.UNKNOWN]
    waits = {slot.index for slot in able}.union(begun)
    closed = sum(gate is not Gate.OPEN and index not in waits for index, gate in seen.items())
    most = rollout.most_down(len(serving))
    room = min(most - len(begun) - closed, len(able))
    if room <= 0:
        says = f"{len(begun)} slots change and {closed} are closed; {most} may be down at once"
        return Wave(begun, Reason(Rule.WAVE, says, {"older": names, "changing": len(begun), "most": most}))
    first = sorted(able, key=lambda slot: (seen[slot.index] is Gate.OPEN, slot.claim is not None, slot.index))[:room]
    says = f"{len(older)} slots are of an older config; {', '.join(f'slot {slot.index}' for slot in first)} follow"
    starts = (*begun, *(slot.index for slot in first))
    return Wave(starts, Reason(Rule.WAVE, says, {"older": names, "most": most}))


def refused(slots: Sequence[Slot], wanted: str) -> tuple[int, ...]:
    """Return the slots whose change to `wanted` failed, and that have not served by it since."""
    return tuple(slot.index for slot in failed_at(slots, wanted))


def failed_at(slots: Sequence[Slot], wanted: str) -> tuple[Slot, ...]:
    """Return the slots that are `refused`."""
    return tuple(slot for slot in slots if slot.follows == wanted and slot.failures)


def crowded(slots: Sequence[Slot], wanted: str, rollout: RolloutConfig) -> Reason | None:
    """Return why a slot does not go down for an edit after all: since the decision others have, or a change failed.

    `slots` are the rows with the mark of this one.
    """
    if failed := refused(slots, wanted):
        return Reason(Rule.WAVE, f"the change of {', '.join(f'slot {index}' for index in failed)} failed meanwhile")
    serving = [slot for slot in slots if slot.state is State.READY]
    down = sum(slot.changes for slot in serving)
    most = rollout.most_down(len(serving))
    if down <= most:
        return None
    return Reason(Rule.WAVE, f"{down} slots would be down at once, and {most} may be", {"down": down, "most": most})
