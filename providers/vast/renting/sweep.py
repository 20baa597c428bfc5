"""Sweep: compare every instance of the account with every state of the backend, and end those in no state.

Pure, except for the market that the caller hands in; `ownership` classifies each instance. Instances that state records
as being created stay, until the operator says that no update is under way.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from providers.vast.api import account
from providers.vast.api.errors import StillRented, VastError
from providers.vast.api.instance import Instance
from providers.vast.api.market import Market
from providers.vast.pulumi_state import OTHER_STACKS, StackState
from providers.vast.renting.give_back import give_back
from providers.vast.renting.ownership import Finding, Kind
from providers.vast.renting.renter import Renter

AT_ONCE = 8  # they wait in one queue for calls, and look together


def own_ids(states: Sequence[StackState], given: str | None = None) -> frozenset[str]:
    """Return our stack ids: that of the first state, or the id that the operator gave."""
    own = given or (states[0].stack_id if states else None)
    return frozenset({own} if own else ())


def confirm_account(market: Market, states: Sequence[StackState], given: str | None = None) -> None:
    """Return if the key belongs to an account on which the first state knows a rented instance.

    Also returns if there is nothing to compare: the state knows no account, or the operator gave another stack's id.
    Raises OtherAccount and AccountUnknown.
    """
    known = states[0].accounts if states and given in {None, states[0].stack_id} else frozenset()
    with suppress(VastError):
        if not known or market.account().id in known:
            return
    account.confirm(market, min(known), f"What the state of stack {states[0].stack} knows was rented")


def refusal(states: Sequence[StackState], given: str | None = None) -> str | None:
    """Return why nothing can be given back, or None if a sweep may give back.

    A state that cannot be read may know instances that no other state knows. Returns None if every state can be read,
    or if the operator gave the stack id, for example of a lost state.
    """
    unread = next((state for state in states if state.trouble), None)
    if given or unread is None:
        return None
    own = states[0].stack_id or "ID"
    return (
        f"nothing was given back, because the state of {_named(unread)} cannot be read ({unread.trouble}): what only "
        "it knows would go, too. Mend it and run the command again. If it is lost: `gpu-fleet sweep --destroy "
        f"--stack-id {own}` gives back what is labelled gpu-fleet/{own}/ and is in no state that can be read."
    )


def _named(state: StackState) -> str:
    return state.stack if state.stack == OTHER_STACKS else f"stack {state.stack}"


def instances_to_give_back(findings: Iterable[Finding], interrupted: bool) -> list[Instance]:
    """Return the instances that `--destroy` gives back.

    With `interrupted`, also those that state records as being created.
    """
    kinds = {Kind.UNKNOWN, Kind.CREATING} if interrupted else {Kind.UNKNOWN}
    return [finding.instance for finding in findings if finding.kind in kinds]


def give_back_each(renter: Renter, instances: Sequence[Instance]) -> dict[int, StillRented | None]:
    """Give back all instances, several at once; return by id an error, or None if the market confirms the end."""

    def end(instance: Instance) -> StillRented | None:
        try:
            give_back(renter, instance.id, instance.dph_total)
        except StillRented as error:
            return error
        return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip([one.id for one in instances], pool.map(end, instances), strict=True))
