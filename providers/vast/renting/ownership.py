"""Who belongs to a stack id, pure: the one place that says it, for sweeps and for the end of a stack's rentals.

Several stacks may rent under one id: the stack that made it, and those that hold one instance each for an elastic fleet. So
an instance is known if any state has it. Only what carries our own stack id is ever given back, and only if no state knows
it. An instance whose create the state records without an end may be one that an update brings online right now, so it is
told apart, until it has been booting for longer than any update waits. Its timer runs from the container's start on: nobody
but us ends one whose container never starts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from providers.pulumi_state import StackState
from providers.vast.api import label
from providers.vast.api.instance import Instance
from providers.vast.api.rows import Odd
from providers.vast.limits import Limits

DEFAULT_LIMITS = Limits()
BOOTING = (None, "scheduled", "created", "loading")  # words of `actual_status` before a container's first start


def carries(text: str | None, stack_ids: Iterable[str]) -> bool:
    """Say whether a label is of one of the stack ids."""
    mark = label.parse(text)
    return mark is not None and mark.stack_id in set(stack_ids)


def may_carry(row: Odd, stack_ids: Iterable[str]) -> bool:
    """Say whether a row that did not parse may be of one of the stack ids, and cannot be given back."""
    return row.label is None or (row.id is None and carries(row.label, stack_ids))


class Kind(Enum):
    """What an instance is to us."""

    KNOWN = "known"  # a state of this backend has it
    UNKNOWN = "ours-but-unknown"  # our stack id, and no state has it
    CREATING = "ours-being-created"  # our stack id, and a create of that name has no end in state
    ANOTHER = "another-stack"  # a label of gpu-fleet's with a stack id that is not ours
    FOREIGN = "foreign"  # no label of gpu-fleet's


@dataclass(frozen=True)
class Finding:
    """One instance and what it is; `why` is for people."""

    instance: Instance
    kind: Kind
    why: str

    @property
    def usd_per_hour(self) -> float:
        """What it costs."""
        return self.instance.dph_total or 0.0


def sort_out(
    instances: Iterable[Instance],
    states: Sequence[StackState],
    own: frozenset[str],
    now: float = 0.0,
    limits: Limits = DEFAULT_LIMITS,
) -> list[Finding]:
    """Say of each instance what it is at `now` (unix seconds), by id."""
    where = {number: state.stack for state in states for ids in state.instances.values() for number in ids}
    instances = list(instances)
    late = {one.id: hours for one in instances if (hours := hours_late(one, now, limits))}
    return [_finding(one, states, where, own, late.get(one.id)) for one in sorted(instances, key=lambda one: one.id)]


def hours_late(instance: Instance, now: float, limits: Limits) -> float | None:
    """Return for how many hours an instance has been booting, if that is longer than any creator waits; else None."""
    if instance.actual_status not in BOOTING or instance.start_date is None:
        return None
    seconds = now - instance.start_date
    return seconds / 3600 if seconds > limits.abandoned_seconds else None


def _finding(
    instance: Instance,
    states: Sequence[StackState],
    where: dict[int, str],
    own: frozenset[str],
    late: float | None,
) -> Finding:
    if instance.id in where:
        return Finding(instance, Kind.KNOWN, f"in the state of stack {where[instance.id]}")
    mark = label.parse(instance.label)
    if mark is None:
        return Finding(instance, Kind.FOREIGN, "no label of gpu-fleet's")
    if mark.stack_id not in own:
        return Finding(instance, Kind.ANOTHER, f"stack id {mark.stack_id} is not this stack's")
    mine = [state for state in states if mark.stack_id in state.stack_ids]
    if late is not None:
        return Finding(instance, Kind.UNKNOWN, f"it has been booting for {late:.1f} h, and nobody waits for it")
    if any(mark.name in state.creating for state in mine):
        return Finding(instance, Kind.CREATING, "an update is creating it, or was killed while it did")
    known = sorted(number for state in mine for number in state.instances.get(mark.name, ()))
    if known:
        return Finding(instance, Kind.UNKNOWN, f"{mark.name} is instance {known[0]} in state, not this one")
    return Finding(instance, Kind.UNKNOWN, f"no state has an instance {mark.name}")
