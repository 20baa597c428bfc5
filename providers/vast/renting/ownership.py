"""Decide which instances belong to a stack id. Pure rules, for sweeps and for the end of a stack's rentals.

Several stacks may rent under one id: the stack that made it, and those that hold one instance each for an elastic
fleet. So an instance counts as known if any state has it. A sweep gives back only instances with our own stack id, and
only if no state knows them.

State may record a create without an end; an update may be bringing that instance online right now. So such an instance
has a kind of its own, until it has been booting for longer than any update waits. Its own timer starts with the
container. Only we can end an instance whose container never starts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from providers.vast.api import label
from providers.vast.api.instance import Instance
from providers.vast.api.rows import Odd
from providers.vast.limits import Limits
from providers.vast.pulumi_state import StackState

DEFAULT_LIMITS = Limits()
BOOTING = (None, "scheduled", "created", "loading")  # values of `actual_status` before a container's first start


def carries(text: str | None, stack_ids: Iterable[str]) -> bool:
    """Return whether a label belongs to one of the stack ids."""
    mark = label.parse(text)
    return mark is not None and mark.stack_id in set(stack_ids)


def may_carry(row: Odd, stack_ids: Iterable[str]) -> bool:
    """Return whether an unparsed row may belong to one of the stack ids and cannot be given back."""
    return row.label is None or (row.id is None and carries(row.label, stack_ids))


class Kind(Enum):
    """Relation of an instance to our stack."""

    KNOWN = "known"  # a state of this backend has it
    UNKNOWN = "ours-but-unknown"  # it carries our stack id, and no state has it
    CREATING = "ours-being-created"  # it carries our stack id, and state has an unfinished create of that name
    ANOTHER = "another-stack"  # gpu-fleet's label, with a stack id that is not ours
    FOREIGN = "foreign"  # no label of gpu-fleet's


@dataclass(frozen=True)
class Finding:
    """One instance and its kind; `why` is a text for people."""

    instance: Instance
    kind: Kind
    why: str

    @property
    def usd_per_hour(self) -> float:
        """Price of the instance in $/h; 0 if the market gives none."""
        return self.instance.dph_total or 0.0


def sort_out(
    instances: Iterable[Instance],
    states: Sequence[StackState],
    own: frozenset[str],
    now: float = 0.0,
    limits: Limits = DEFAULT_LIMITS,
) -> list[Finding]:
    """Classify each instance at `now` (unix seconds); return the findings by id."""
    where = {number: state.stack for state in states for ids in state.instances.values() for number in ids}
    instances = list(instances)
    late = {one.id: hours for one in instances if (hours := hours_late(one, now, limits))}
    return [_finding(one, states, where, own, late.get(one.id)) for one in sorted(instances, key=lambda one: one.id)]


def hours_late(instance: Instance, now: float, limits: Limits) -> float | None:
    """Return for how many hours an instance has been booting, if longer than any creator waits; else None."""
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
        return Finding(instance, Kind.UNKNOWN, f"it has been booting for {late:.1f} h, and no process waits for it")
    if any(mark.name in state.creating for state in mine):
        return Finding(instance, Kind.CREATING, "an update is creating it, or was killed while it did")
    known = sorted(number for state in mine for number in state.instances.get(mark.name, ()))
    if known:
        return Finding(instance, Kind.UNKNOWN, f"{mark.name} is instance {known[0]} in state, not this one")
    return Finding(instance, Kind.UNKNOWN, f"no state has an instance {mark.name}")
