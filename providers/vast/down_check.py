"""Check whether an instance that is down in state is really lost.

State is as old as its refresh, so this module takes a fresh look. Drift replaces a machine only if three things hold:
the market still names the failure, has named it for `limits.downMinutes`, and the endpoint is silent. A machine that
answers a completion is never replaced because of the market's words. No machine is replaced while the market does not
answer.

A machine that shows another host key is replaced if it has shown it for as long, and shows it in a fresh login. In
every other case an update waits for the machine, starts it, and repairs it in place.
"""

from dataclasses import replace
from typing import Any

from bootstrap.errors import BootstrapError, HostKeyMismatch
from providers.vast.api import errors
from providers.vast.api.contract_end import ENDING_DRIFT, ending
from providers.vast.api.instance import Failed, Instance, Running, classify
from providers.vast.changes import Changes
from providers.vast.instance_bootstrap import InstanceBootstrap
from providers.vast.lifecycle import STRANGER_DRIFT, OperationContext, bootstrap_of, compare, endpoint_of
from providers.vast.renting.look import look_up
from providers.vast.running_check import Absence
from providers.vast.settings import InstanceSettings

DRIFT = "drift"


def is_doubtful(found: Changes) -> bool:
    """Return whether drift is the only reason for another machine, so that a fresh look decides."""
    return set(found.replace) == {DRIFT}


def judge(
    instance_id: int, old: InstanceSettings, new: InstanceSettings, outs: dict[str, Any], context: OperationContext
) -> Changes:
    """Return the changes that an update would make. If only drift asks for another machine, take a fresh look first."""
    found = compare(old, new, outs)
    if not is_doubtful(found) or _is_lost(instance_id, old, outs, context):
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
    now, scale = context.clock.time(), settings.market.time_scale
    if any(str(drift).startswith(ENDING_DRIFT) for drift in outs.get("drift") or []):
        return isinstance(classify(instance, settings.server.port), Running) and bool(
            ending(instance.end_date or outs.get("endsAt"), now, scale)
        )
    state = classify(instance, settings.server.port)
    strange = any(str(drift).startswith(STRANGER_DRIFT) for drift in outs.get("drift") or [])
    if not (isinstance(state, Failed) or (strange and isinstance(state, Running))):
        return False
    why = state.message if isinstance(state, Failed) else "it shows another SSH host key"
    left = 0.0 if 0 < (instance.end_date or 0) <= now else Absence.of(outs).left(now, settings.to_limits())
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
