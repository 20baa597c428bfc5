"""Which slots follow a changed config next; pure. The rule of fixed fleets: waves of `rollout.maxUnavailable`.

An edit of image, model or another input gives the fleet another digest. Each slot that serves by an older digest runs its
`up` once, in waves. The next one begins only if the last one serves. If a change fails, the rest stays as it is. Slots that
boot do not wait: their `up` takes what is applied, and one that began before the edit follows once it serves.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from config.rollout import RolloutConfig
from controller.reasons import Reason, Rule
from controller.slots import Slot, State


@dataclass(frozen=True)
class Wave:
    """The slots whose `up` starts now, by index, and why these or why none. No reason: nothing is left to follow."""

    starts: tuple[int, ...] = ()
    reason: Reason | None = None


def next_wave(
    slots: Sequence[Slot],
    wanted: str,
    digests: Mapping[int, str],
    rollout: RolloutConfig,
    changing: AbstractSet[int] = frozenset(),
    failed: AbstractSet[int] = frozenset(),
) -> Wave:
    """Return the slots that follow next.

    `digests`: what each slot was made of at its last `up` that ended well; one that is not told has not followed.
    `changing`: slots whose `up` for a change runs now. `failed`: slots whose `up` for `wanted` failed.
    """
    serving = [slot for slot in slots if slot.state is State.READY]
    older = [slot for slot in serving if slot.index not in changing and digests.get(slot.index) != wanted]
    if not older:
        return Wave()
    names = tuple(f"slot {slot.index}" for slot in older)
    if failed:
        who = ", ".join(f"slot {index}" for index in sorted(failed))
        says = f"the change of {who} failed, so {', '.join(names)} stay as they are"
        return Wave((), Reason(Rule.WAVE, says, {"older": names, "failed": tuple(map(str, sorted(failed)))}))
    broken = [slot for slot in slots if slot.state is State.FAILED and slot.index not in changing]
    most = rollout.most_down(len({slot.index for slot in serving} | changing))
    room = most - len(changing) - len(broken)
    if room <= 0:
        says = f"{len(changing)} slots change and {len(broken)} are broken; {most} may be down at once"
        return Wave((), Reason(Rule.WAVE, says, {"older": names, "changing": len(changing), "most": most}))
    first = sorted(older, key=lambda slot: (slot.claim is not None, slot.index))[:room]
    says = f"{len(older)} slots are of an older config; {', '.join(f'slot {slot.index}' for slot in first)} follow"
    return Wave(tuple(slot.index for slot in first), Reason(Rule.WAVE, says, {"older": names, "most": most}))
