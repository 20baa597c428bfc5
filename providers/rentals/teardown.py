"""End a stack's rentals: give back the instances with its id that no state knows.

The resource ends with the stack, but also if it is replaced, renamed, or removed from the program while its instances serve.
So instances that a state knows stay. If no state can be read, all stay. `renting/ownership` decides which are known.

The instances of slots end with their main stack, whatever the states of the slots say: without it no command reaches them.
Their hosts are drained first, as far as they can be reached. A replacement spares them. A create of a slot that ends later
sees that its main stack is gone (`providers/vast/main_stack.py`).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from bootstrap.services import Progress
from config.slot_names import slot_of
from providers.ledger.instance_end import STACK_ENDED, row_ended
from providers.ledger.ledger import Ledger, NoLedger
from providers.vast.api import account, label
from providers.vast.api.errors import VastError
from providers.vast.api.instance import Instance, all_known
from providers.vast.api.market import Market
from providers.vast.api.rows import set_aside
from providers.vast.limits import Limits
from providers.vast.pulumi_state import BackendError, StackState
from providers.vast.renting.give_back import give_back_all
from providers.vast.renting.ownership import Finding, Kind, carries, hours_late, may_carry, sort_out
from providers.vast.renting.renter import Renter

Drain = Callable[[Mapping[str, Instance]], None]  # instances that serve, by the names of their slots' stacks


class NotAsked(VastError):
    """The market or a state could not be asked about a stack's rentals, or an answer leaves doubt."""


class StillWanted(VastError):
    """The stack ends while other stacks still have instances under its id."""


@dataclass(frozen=True)
class Teardown:
    """Hold the stack ids that end, the latest first, and their account if state knows it.

    `instance`: the one name that ends under these ids, in the stack of a slot. None: all names.
    """

    stack_ids: Sequence[str]
    known_account: int | None = None
    instance: str | None = None

    @property
    def labels(self) -> str:
        """Return the beginnings of the labels that end."""
        return " and ".join(f"{label.PREFIX}/{one}/{self.instance or ''}" for one in self.stack_ids)

    def ours(self, listed: list[Instance]) -> list[Instance]:
        """Return the listed instances that end."""
        return [row for row in _ours(listed, self.stack_ids) if self.instance in (None, name_of(row))]


def end_rentals(
    renter: Renter,
    ending: Teardown,
    states: Callable[[], Sequence[StackState]],
    report_progress: Progress,
    open_ledger: Callable[[], Ledger] = NoLedger,
    drain: Drain = lambda _slots: None,
) -> None:
    """Give back instances with the stack's id that are in no state; `states` reads the states, the stack's own first.

    The ledger learns their ends. It is opened after the last give-back, and only if one is confirmed. `drain` drains the
    hosts of slots that end with their stack.

    Raises StillRented for an instance whose end is not confirmed, NotAsked, StillWanted, and OtherAccount or AccountUnknown
    if this key shows no instance. A row without a readable id or label may belong to the stack: NotAsked counts it, after
    the others are given back.
    """
    listed = _listed(renter, ending)
    left = ending.ours(listed)
    if not left:
        # One list may lack rows that are there: only two lists, apart in time, mean that nothing is rented.
        renter.clock.sleep(renter.limits.look_seconds)
        listed = _listed(renter, ending)
        left = ending.ours(listed)
    if left:
        kept, creating = _end_unknown(renter, left, states, ending, report_progress, open_ledger, drain)
        _confirm(listed, ending)
        if kept:
            return
        if creating:
            _end_late(renter, ending, report_progress, open_ledger)
    else:
        account.confirm(renter.market, ending.known_account, f"Whatever carries {ending.labels} was rented")
        _confirm(listed, ending)
    report_progress("confirm gone", f"nothing is rented under {ending.labels} any more")


def _listed(renter: Renter, ending: Teardown) -> list[Instance]:
    """Return the account's instances. Raises NotAsked if the market gives no answer."""
    try:
        return renter.market.instances()
    except VastError as error:
        raise NotAsked(
            f"whether anything is still rented under {ending.labels} could not be asked: {error}. "
            "Run `pulumi destroy` again, or look on the market's console."
        ) from error


def _ours(listed: list[Instance], stack_ids: Sequence[str]) -> list[Instance]:
    """Return the listed instances whose label carries one of the stack ids."""
    return [row for row in all_known(listed) if carries(row.label, stack_ids)]


def name_of(row: Instance) -> str | None:
    """Return the name in an instance's label; None if it has no label of ours."""
    mark = label.parse(row.label)
    return mark.name if mark else None


def is_rented(market: Market, stack_id: str) -> bool:
    """Return whether the account has an instance with the stack's id."""
    return bool(_ours(market.instances(), [stack_id]))


def report_late_boots(market: Market, now: float, limits: Limits, rentals: Teardown, report_progress: Progress) -> None:
    """Report instances of the rentals that boot for longer than a create waits; their timers do not run. Never raises.

    This function cannot know which of them are in a state. A machine that starts again has the same status.
    """
    with suppress(VastError):
        for row in rentals.ours(market.instances()):
            hours = hours_late(row, now, limits)
            if hours is not None:
                report_progress(
                    "look",
                    f"instance {row.id} ({row.label}) has been {row.actual_status or 'scheduled'} for up to {hours:.1f} h, "
                    f"at ${row.dph_total or 0:.3f}/h at most. If no state knows it, nobody else ends it: "
                    "`gpu-fleet sweep --destroy`",
                )


def _end_unknown(
    renter: Renter,
    left: list[Instance],
    states: Callable[[], Sequence[StackState]],
    ending: Teardown,
    report_progress: Progress,
    open_ledger: Callable[[], Ledger],
    drain: Drain,
) -> tuple[bool, bool]:
    """Give back the unknown instances with the id, and those of slots if the stack ends.

    Return whether some stay, and whether a slot was being created. The list was read before the states, so that each of
    its instances was already in a state or being created.
    """
    try:
        read = states()
    except BackendError as error:
        raise _in_doubt(left, ending, str(error)) from error
    slots = {state.stack: slot.instance for state in read[1:] if (slot := slot_of(read[0].stack, state.stack))}
    if trouble := next((state for state in read if state.trouble and state.stack not in slots), None):
        raise _in_doubt(left, ending, f"{trouble.stack}: {trouble.trouble}")
    found = sort_out(left, read, frozenset(ending.stack_ids), renter.clock.time(), renter.limits)
    goes_on = read[0].rentals > 1 or any(one.instance.id in _ids(read[0]) for one in found)
    names = set(slots.values())
    of_slots = [one for one in found if name_of(one.instance) in names]
    others = [one for one in found if one not in of_slots]
    to_give_back = [one for one in others if one.kind is Kind.UNKNOWN or _is_dead_create(one, read)]
    for one in to_give_back:
        report_progress("give back", f"instance {one.instance.id} ({one.instance.label}), which no state knows")
    if not goes_on:
        serving = {name_of(one.instance): one.instance for one in of_slots if one.kind is Kind.KNOWN}
        drain({stack: serving[name] for stack, name in slots.items() if name in serving})
        for one in of_slots:
            report_progress("give back", f"instance {one.instance.id} ({one.instance.label}), a slot of this stack")
        to_give_back += of_slots
    _give_back(renter, [one.instance for one in to_give_back], open_ledger)
    kept = [one for one in found if one not in to_give_back]
    if kept:
        _keep(kept, read, report_progress)
    return bool(kept), any(state.creating for state in read if state.stack in slots)


def _end_late(renter: Renter, ending: Teardown, report_progress: Progress, open_ledger: Callable[[], Ledger]) -> None:
    """Give back the instances that creates of slots still rent.

    It ends once no list has shown one for as long as the market's lists may lag.
    Such a create sees its machine vanish, and may try another; it ends after `limits.attempts` of them.
    """
    until = renter.clock.monotonic() + renter.limits.settle_seconds
    while renter.clock.monotonic() < until:
        renter.clock.sleep(renter.limits.look_seconds)
        late = ending.ours(_listed(renter, ending))
        for one in late:
            report_progress("give back", f"instance {one.id} ({one.label}), which a slot of this stack still rented")
        _give_back(renter, late, open_ledger)
        if late:
            until = renter.clock.monotonic() + renter.limits.settle_seconds


def _give_back(renter: Renter, instances: list[Instance], open_ledger: Callable[[], Ledger]) -> None:
    def record(gone: Instance) -> None:
        row_ended(open_ledger(), renter.clock.time(), gone, STACK_ENDED)

    give_back_all(renter, instances, record)


def _is_dead_create(finding: Finding, states: Sequence[StackState]) -> bool:
    """Return whether a killed create left this instance: all creates wait for the rentals, so that none runs now."""
    mark = label.parse(finding.instance.label)
    elsewhere = any(mark.name in state.creating for state in states[1:]) if mark else False
    return finding.kind is Kind.CREATING and not elsewhere


def _keep(kept: list[Finding], states: Sequence[StackState], report_progress: Progress) -> None:
    own = {number for ids in states[0].instances.values() for number in ids}
    rows = ", ".join(f"{one.instance.id} ({one.instance.label})" for one in kept)
    if states[0].rentals > 1 or any(one.instance.id in own for one in kept):
        report_progress("keep", f"{len(kept)} instances go on, because a state knows them: {rows}")
        return
    where = next((state for state in states[1:] if kept[0].instance.id in _ids(state)), None)
    stack = where.stack if where else "<its stack>"
    raise StillWanted(
        f"instances of other stacks are rented under this stack's id and go on costing: {rows}. Their keys are in the state "
        f"of this one. Give them back first: `pulumi destroy --stack {stack}`, then run the command again."
    )


def _ids(state: StackState) -> set[int]:
    return {number for ids in state.instances.values() for number in ids}


def _confirm(listed: list[Instance], ending: Teardown) -> None:
    doubtful = [row for row in set_aside(listed) if may_carry(row, ending.stack_ids)]
    if doubtful:
        rows = "1 row" if len(doubtful) == 1 else f"{len(doubtful)} rows"
        raise NotAsked(
            f"{rows} of the market's list cannot be read ({doubtful[0].description}), so an instance may still be rented, "
            f"and cost, under {ending.labels}. Run `pulumi destroy` again, or look on the market's console."
        )


def _in_doubt(left: list[Instance], ending: Teardown, why: str) -> NotAsked:
    rows = ", ".join(f"{row.id} (${row.dph_total or 0:.3f}/h, {row.label})" for row in left)
    sweeps = " and ".join(
        f"`gpu-fleet sweep --destroy --interrupted --stack-id {one}`"
        for one in ending.stack_ids
        if any(carries(row.label, [one]) for row in left)
    )
    return NotAsked(
        f"instances are rented under {ending.labels}: {rows}. Whether a state knows them cannot be read ({why}), so none of "
        "them is given back, and they go on costing. Mend that, then run the command again. If a state is lost, give back "
        f"first what is in no state that can be read: {sweeps}."
    )
