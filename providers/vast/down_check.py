"""Check whether an instance that is down in state is really lost.

State is as old as its refresh, so this module takes a fresh look. Drift replaces a machine only if three things hold:
the market still names the failure, has named it for `limits.downMinutes`, and the endpoint is silent. A machine that
answers a completion is never replaced because of the market's words. No machine is replaced while the market does not
answer.

A machine that shows another host key is replaced if it has shown it for as long, and shows it in a fresh login. In
every other case an update waits for the machine, starts it, and repairs it in place.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bootstrap.errors import BootstrapError, HostKeyMismatch
from providers.vast.api import account, errors
from providers.vast.api.contract_end import ENDING_DRIFT, ending
from providers.vast.api.instance import Failed, Instance, Running, classify
from providers.vast.changes import Changes
from providers.vast.instance_bootstrap import InstanceBootstrap
from providers.vast.lifecycle import STRANGER_DRIFT, OperationContext, bootstrap_of, compare, endpoint_of
from providers.vast.own_end import AGAIN, ENDING_ITSELF_DRIFT, GONE_DRIFT, End
from providers.vast.renting.look import find, is_absent, look_up
from providers.vast.renting.renter import Renter
from providers.vast.running_check import Downtime
from providers.vast.settings import InstanceSettings

DRIFT = "drift"
SEEN_SECONDS = 60.0  # highest age of a list that shows that an instance is there


def own_end(
    instance_id: int, settings: InstanceSettings, outs: Mapping[str, Any], context: OperationContext
) -> End | None:
    """Return how an instance ended; None if it is there, or if its fleet's hosts never end themselves.

    A host may end itself between two updates, so that state alone does not know whether there is an instance. In doubt
    the instance counts as there.
    """
    limits = settings.to_limits()
    young = context.clock.time() - float(outs.get("createdAt") or 0) < limits.settle_seconds
    if settings.self_destruct is None or young:
        return None
    try:
        if find(context.market, instance_id, settings.label, SEEN_SECONDS / settings.market.time_scale) is not None:
            return None
        account.confirm(context.market, account.number(outs.get("account")), f"instance {instance_id} was rented")
        if not is_absent(Renter(context.market, context.clock, limits), instance_id, settings.label):
            return None
    except errors.VastError as doubt:
        context.report_progress(DRIFT, f"whether it ended itself is not known: {doubt}")
        return None
    return context.ends.of(settings, instance_id, context.clock.time())


def with_own_end(
    instance_id: int, settings: InstanceSettings, outs: dict[str, Any], context: OperationContext
) -> dict[str, Any]:
    """Return the outputs in state, with a line of drift if the instance is gone."""
    end = own_end(instance_id, settings, outs, context)
    if end is None:
        return outs
    context.report_progress("gone", f"{end.description}; {AGAIN}")
    return {**outs, "drift": [*(outs.get("drift") or []), f"{GONE_DRIFT}: {end.description}"]}


def is_doubtful(found: Changes) -> bool:
    """Return whether drift is the only reason for another machine, so that a fresh look decides."""
    return set(found.replace) == {DRIFT}


def judge(
    instance_id: int, old: InstanceSettings, new: InstanceSettings, outs: dict[str, Any], context: OperationContext
) -> Changes:
    """Return the changes that an update would make. If only drift asks for another machine, take a fresh look first."""
    found = compare(old, new, outs)
    gone = _drifts(outs, GONE_DRIFT)  # this diff has looked
    if not is_doubtful(found) or gone or _is_lost(instance_id, old, outs, context):
        return found
    return replace(found, replace=[], in_place=[*found.in_place, DRIFT])


def _is_lost(instance_id: int, settings: InstanceSettings, outs: dict[str, Any], context: OperationContext) -> bool:
    try:
        instance = look_up(context.market, instance_id, settings.label)
    except errors.VastError as doubt:
        context.report_progress(DRIFT, f"no other machine takes its place while nothing is known of it: {doubt}")
        return False
    if instance is None:
        return False  # an update checks whether it is gone, and a refresh creates it anew
    state = classify(instance, settings.server.port)
    if _drifts(outs, ENDING_DRIFT) or _drifts(outs, ENDING_ITSELF_DRIFT):
        ends = isinstance(state, Running) and _contract_ends(instance, settings, outs, context)
        return ends or (isinstance(state, Running) and _ends_itself(instance, settings, outs, context))
    strange = _drifts(outs, STRANGER_DRIFT)
    if not (isinstance(state, Failed) or (strange and isinstance(state, Running))):
        return False
    why = state.message if isinstance(state, Failed) else "it shows another SSH host key"
    left = (
        0.0
        if 0 < (instance.end_date or 0) <= context.clock.time()
        else Downtime.of(outs).left(context.clock.time(), settings.to_limits())
    )
    if left > 0:
        context.report_progress(
            DRIFT, f"{why}; it is waited for, and for {left / 60:.0f} min more no other machine takes its place"
        )
        return False
    bootstrap = bootstrap_of(settings, settings, context)
    if isinstance(state, Running):
        return _is_strange(bootstrap, instance, outs, context)
    if any(map(bootstrap.answers, sorted({str(outs.get("endpoint")), endpoint_of(instance, settings)}))):
        context.report_progress(DRIFT, f"{why}; its endpoint answers, so it stays")
        return False
    return True


def _drifts(outs: Mapping[str, Any], kind: str) -> bool:
    return any(str(drift).startswith(kind) for drift in outs.get("drift") or [])


def _contract_ends(
    instance: Instance, settings: InstanceSettings, outs: Mapping[str, Any], context: OperationContext
) -> bool:
    end = instance.end_date or outs.get("endsAt")
    return _drifts(outs, ENDING_DRIFT) and bool(ending(end, context.clock.time(), settings.market.time_scale))


def _ends_itself(
    instance: Instance, settings: InstanceSettings, outs: Mapping[str, Any], context: OperationContext
) -> bool:
    if not _drifts(outs, ENDING_ITSELF_DRIFT):
        return False
    try:
        bootstrap = bootstrap_of(settings, settings, context)
        return bool(bootstrap.observe(instance, str(outs.get("hostKey")), context.report_progress).ending)
    except BootstrapError:
        return False


def _is_strange(
    bootstrap: InstanceBootstrap, instance: Instance, outs: dict[str, Any], context: OperationContext
) -> bool:
    try:
        bootstrap.observe(instance, str(outs.get("hostKey")), context.report_progress)
    except HostKeyMismatch:
        return True
    except BootstrapError:
        return False
    return False
