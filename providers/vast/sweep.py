"""Sweep: every instance of the account against every state of the backend, and an end to those that nobody knows. Pure but
for the market that is handed in.

Only what carries our own stack id is ever given back, and only when no state knows it. An instance whose create the state
records without an end may be one that an update brings online right now, so it is left alone until the operator says that
none is under way, or until it has been booting for longer than any update waits. Its timer runs from the container's start
on: nobody but us ends one whose container never starts.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from providers.engine_watch import RentingClock
from providers.vast import account, label
from providers.vast.backend import StackState
from providers.vast.errors import StillRented, VastError
from providers.vast.instances import Instance
from providers.vast.limits import Limits
from providers.vast.renting import Market, give_back

DEFAULT_LIMITS = Limits()
AT_ONCE = 8  # they wait for one another's turns, and look together
BOOTING = (None, "scheduled", "created", "loading")  # words of `actual_status` before a container's first start


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


def own_ids(states: Sequence[StackState], given: str | None = None) -> frozenset[str]:
    """Return the stack ids that are ours: that of the first state, or the one that the operator gave."""
    own = given or (states[0].stack_id if states else None)
    return frozenset({own} if own else ())


def confirm_account(market: Market, states: Sequence[StackState], given: str | None = None) -> None:
    """Return if the key is of an account on which the first state knows something rented, or where that says nothing:
    it knows of none, or the operator gave another stack's id. Raises OtherAccount and AccountUnknown.
    """
    known = states[0].accounts if states and given in {None, states[0].stack_id} else frozenset()
    with suppress(VastError):
        if not known or market.account().id in known:
            return
    account.confirm(market, min(known), f"What the state of stack {states[0].stack} knows was rented")


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
    hours_late: float | None,
) -> Finding:
    if instance.id in where:
        return Finding(instance, Kind.KNOWN, f"in the state of stack {where[instance.id]}")
    mark = label.parse(instance.label)
    if mark is None:
        return Finding(instance, Kind.FOREIGN, "no label of gpu-fleet's")
    if mark.stack_id not in own:
        return Finding(instance, Kind.ANOTHER, f"stack id {mark.stack_id} is not this stack's")
    mine = [state for state in states if state.stack_id == mark.stack_id]
    if hours_late is not None:
        return Finding(instance, Kind.UNKNOWN, f"it has been booting for {hours_late:.1f} h, and nobody waits for it")
    if any(mark.name in state.creating for state in mine):
        return Finding(instance, Kind.CREATING, "an update is creating it, or was killed while it did")
    known = sorted(number for state in mine for number in state.instances.get(mark.name, ()))
    if known:
        return Finding(instance, Kind.UNKNOWN, f"{mark.name} is instance {known[0]} in state, not this one")
    return Finding(instance, Kind.UNKNOWN, f"no state has an instance {mark.name}")


def condemned(findings: Iterable[Finding], interrupted: bool) -> list[Instance]:
    """Return what `--destroy` gives back; `interrupted`: also where state says that a create is under way."""
    kinds = {Kind.UNKNOWN, Kind.CREATING} if interrupted else {Kind.UNKNOWN}
    return [finding.instance for finding in findings if finding.kind in kinds]


def give_back_each(
    market: Market, clock: RentingClock, limits: Limits, instances: Sequence[Instance]
) -> dict[int, StillRented | None]:
    """Give all of them back, several at once; by id, None where the market has confirmed it."""

    def end(instance: Instance) -> StillRented | None:
        try:
            give_back(market, clock, limits, instance.id, instance.dph_total)
        except StillRented as error:
            return error
        return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip([one.id for one in instances], pool.map(end, instances), strict=True))
