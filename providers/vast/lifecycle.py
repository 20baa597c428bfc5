# Long because create, read, update and delete share the rules of one instance.
"""Create, read, update and delete one instance, without Pulumi: settings and outputs in, outputs out.

Outputs are plain values: all inputs, and `settings.OUTPUT_KEYS`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bootstrap.errors import BootstrapError, HostKeyMismatch
from bootstrap.plan import plan
from bootstrap.services import Progress
from providers.budget.guard import Budget, NoBudget
from providers.engine_watch import RentingClock
from providers.ledger import instance_end
from providers.ledger.event import Reason
from providers.ledger.instance_end import row_ended, state_ended
from providers.ledger.ledger import Ledger, NoLedger
from providers.store.client import Keys
from providers.vast import key_change
from providers.vast.api import account, errors
from providers.vast.api.contract_end import ENDING_DRIFT, ending
from providers.vast.api.errors import Meanwhile
from providers.vast.api.instance import SSH_PORT, Instance, Running, classify
from providers.vast.api.market import Market
from providers.vast.api.patient_market import PatientMarket
from providers.vast.changes import Changes, changes
from providers.vast.charged_price import charged_now, paid, report_prices, report_rise
from providers.vast.create import Served, bring_online
from providers.vast.host_spec import spec_of
from providers.vast.instance_bootstrap import InstanceBootstrap
from providers.vast.instance_request import InstanceRequest, always_wanted
from providers.vast.limits import Limits
from providers.vast.machine_facts import facts_of, filled, machine_of
from providers.vast.own_end import AGAIN, ENDING_ITSELF_DRIFT, GONE_DRIFT, OwnEnds
from providers.vast.renting.give_back import give_back, give_back_all
from providers.vast.renting.look import find, is_absent, look_up, surplus
from providers.vast.renting.renter import Renter
from providers.vast.renting.serving_marks import Marks, NoMarks, forget
from providers.vast.running_check import (
    Downtime,
    is_down,
    is_standing,
    serves_all_the_same,
    standing_drift,
    wait_until_back,
)
from providers.vast.settings import OUTPUT_KEYS, InstanceSettings

SURPLUS_DRIFT, STRANGER_DRIFT = "surplus", "another host key"
REPLACING_DRIFT = (STRANGER_DRIFT, ENDING_DRIFT, GONE_DRIFT, ENDING_ITSELF_DRIFT)
SEEN_SECONDS = 600.0  # highest age of a list from which state learns an account


@dataclass(frozen=True)
class OperationContext:
    """Dependencies of one operation.

    They are the account's market, a clock that notices a lost engine, the store's keys and the ledger. `hosting` makes
    the InstanceBootstrap and takes its arguments. `marks` say which instance holds a label, `ends` how one ended.
    `confirm_wanted` raises if an instance must not be rented any more; its argument says whether it is rented already.
    `budget` says whether a rent fits.
    """

    market: Market
    clock: RentingClock
    keys: Keys
    report_progress: Progress
    ledger: Ledger = field(default_factory=NoLedger)
    hosting: Callable[..., InstanceBootstrap] = InstanceBootstrap
    marks: Marks = field(default_factory=NoMarks)
    ends: OwnEnds = field(default_factory=OwnEnds)
    confirm_wanted: Callable[[bool], None] = always_wanted
    budget: Budget = field(default_factory=NoBudget)


def create(settings: InstanceSettings, context: OperationContext) -> dict[str, Any]:
    """Bring an instance online and return its outputs.

    If it raises, nothing stays rented, or the message names the instance that does.
    """
    rented_on = account.learned(context.market, None, lambda: True)
    bootstrap = bootstrap_of(settings, settings, context, in_state=False)
    request = InstanceRequest.of(settings, context.confirm_wanted)
    served = bring_online(
        Renter(context.market, context.clock, settings.to_limits()),
        request,
        bootstrap,
        context.report_progress,
        context.ledger,
        context.marks,
        context.budget,
    )
    made = {"createdAt": context.clock.time(), "attempts": served.attempts, "account": rented_on}
    outs = {**_outputs(served), **made, "chargedUsdPerHour": charged_now(served.instance, settings, {})}
    report_rise(settings, outs, context.report_progress)
    return outs


def read(
    instance_id: int, settings: InstanceSettings, outs: dict[str, Any], context: OperationContext
) -> dict[str, Any] | None:
    """Return fresh outputs, with every deviation in `drift`; None if the instance is gone.

    Returns None only if two looks agree that it is gone. The instance is then older than the market's lag, and the key
    belongs to the account that rented it. Any doubt raises.
    """
    limits = settings.to_limits()
    instance = look_up(context.market, instance_id, settings.label)
    if instance is None:
        account.confirm(context.market, account.number(outs.get("account")), _was_rented(instance_id, outs))
        context.clock.sleep(max(0.0, limits.settle_seconds - _age(outs, context)))
        if is_absent(Renter(context.market, context.clock, limits), instance_id, settings.label):
            _record_end(instance_id, settings, outs, context, Reason.LOST, f"; {AGAIN}")
            return None
        raise errors.OutcomeUnknown("show", f"instance {instance_id} is there in one answer and missing in another")
    outs = {**outs, "account": _rented_on(context.market, outs)}
    state = classify(instance, settings.server.port)
    kept = key_change.left(outs)
    down_since = outs.get("downSince") or context.clock.time()
    if not isinstance(state, Running):
        return {**outs, "downSince": down_since, "drift": _report_drift(context, [standing_drift(state), *kept])}
    drift = kept + [
        f"{SURPLUS_DRIFT}: instance {one.id} carries our label too, at ${one.dph_total or 0:.3f}/h"
        for one in surplus(context.market, instance_id, settings.label)
    ]
    # A market that omits the end once has not changed it.
    ends_at = outs.get("endsAt") if instance.end_date is None else instance.end_date
    ends = ending(ends_at, context.clock.time(), settings.market.time_scale)
    drift += [ends] if ends else []
    endpoint = endpoint_of(instance, settings)
    if endpoint != outs.get("endpoint"):
        drift.append(f"address: it moved from {outs.get('endpoint')} to {endpoint}")
    try:
        facts = bootstrap_of(settings, settings, context).observe(
            instance, str(outs.get("hostKey")), context.report_progress
        )
        address = endpoint.removeprefix("https://").rpartition(":")[0]
        wanted = spec_of(settings, address, instance_id)
        if facts.ending:
            drift.append(f"{ENDING_ITSELF_DRIFT}: {facts.ending}, and the market has not destroyed it yet")
        else:
            drift += [f"{step.phase}: {step.why}" for step in plan(wanted, facts, context.clock.time())]
    except HostKeyMismatch as error:
        drift.append(f"{STRANGER_DRIFT}: {error}")
    except BootstrapError as error:
        drift.append(f"unreachable: {error}")
    since = down_since if any(one.startswith(STRANGER_DRIFT) for one in drift) else None
    found = {"endpoint": endpoint, "ssh": _mapped(instance, SSH_PORT), "endsAt": ends_at, "downSince": since}
    outs = {**outs, **found, "chargedUsdPerHour": charged_now(instance, settings, outs)}
    report_prices(instance_id, settings, outs, context.market, context.report_progress)
    return {**outs, "machine": filled(outs.get("machine"), instance), "drift": _report_drift(context, drift)}


def _report_drift(context: OperationContext, drift: list[str]) -> list[str]:
    for one in drift:
        does = "waits for it" if is_standing(one) else "mends it"
        context.report_progress("drift", f"{one}; the next `pulumi up` {does}")
    return drift


def compare(old: InstanceSettings, new: InstanceSettings, outs: dict[str, Any]) -> Changes:
    """Return the changes that an update would make according to state, drift included.

    Some drift asks for another machine: it is down, its contract ends, another host answers at its address, or it ended
    itself. A fresh look must agree (see `down_check`). Any other drift is repaired in place.
    """
    found = changes(old, new, machine_of(outs))
    for drift in outs.get("drift") or []:
        lost = is_down(str(drift)) or str(drift).startswith(REPLACING_DRIFT)
        (found.replace if lost else found.in_place).append("drift")
    return found


def update(
    instance_id: int, old: InstanceSettings, new: InstanceSettings, outs: dict[str, Any], context: OperationContext
) -> dict[str, Any]:
    """Converge in place, logging in with the key in the old state; only record settings that do not affect the machine.

    If the new settings do not come to serve, the old ones are restored. Raises UpdateFailed, RentalFailed.
    """
    kept = {key: outs[key] for key in OUTPUT_KEYS if key in outs}
    if not _changes_machine(compare(old, new, outs)):
        return {**kept, "account": learned(instance_id, old, outs, context.market)}
    host, wanted = bootstrap_of(old, old, context), _changes_machine(changes(old, new, machine_of(outs)))
    if not wanted and serves_all_the_same(_patient(context, old.to_limits()), instance_id, old, outs, host):
        context.report_progress(
            "drift", f"its endpoint {outs.get('endpoint')} answers, whatever the market says: nothing is done"
        )
        _end_surplus(context, old.to_limits(), surplus(context.market, instance_id, old.label))
        return {**kept, "account": _rented_on(context.market, outs)}
    limits = new.to_limits()
    market, absence = _patient(context, limits), Downtime.of(outs)
    try:
        instance = wait_until_back(
            Renter(market, context.clock, limits), instance_id, old, new.server.port, absence, context.report_progress
        )
    except errors.RentalFailed:
        if look_up(market, instance_id, old.label) is None:
            account.confirm(market, account.number(outs.get("account")), _was_rented(instance_id, outs))
        raise
    _end_surplus(context, limits, surplus(context.market, instance_id, old.label))
    bootstrap = bootstrap_of(new, old, context)
    try:
        served = bootstrap.serve(instance, str(outs.get("hostKey")), context.report_progress)
    except BootstrapError as error:
        meanwhile = _restore_settings(instance, old, new, outs, context)
        raise errors.UpdateFailed(instance_id, paid(outs), str(error), meanwhile) from error
    drift = key_change.go_on(bootstrap, instance, old.access, new.access, outs, context.report_progress)
    fresh = {**_outputs(served), "drift": drift, "chargedUsdPerHour": charged_now(served.instance, new, outs)}
    kept = {key: outs.get(key) for key in ("usdPerHour", "createdAt", "attempts")}
    seen = {"machine": filled(outs.get("machine"), served.instance), "account": _rented_on(context.market, outs)}
    return {**fresh, **kept, **seen, "warm": served.warm or outs.get("warm")}


def learned(instance_id: int, settings: InstanceSettings, outs: dict[str, Any], market: Market) -> int | None:
    """Return the account for state: the one it names already, or the one that a look at the instance proves."""
    known = account.number(outs.get("account"))
    if known is not None:
        return known
    # A sighting at any time proves the account. So one list serves all instances of a fleet.
    return account.learned(market, None, lambda: find(market, instance_id, settings.label, SEEN_SECONDS) is not None)


def _rented_on(market: Market, outs: dict[str, Any]) -> int | None:
    """Return the account of an instance that was seen a moment ago."""
    return account.learned(market, account.number(outs.get("account")), lambda: True)


def _age(outs: dict[str, Any], context: OperationContext) -> float:
    """Return the seconds since an instance came online; very many if state does not say when."""
    return max(0.0, context.clock.time() - float(outs.get("createdAt") or 0))


def _was_rented(instance_id: int, outs: dict[str, Any]) -> str:
    return f"INSTANCE {instance_id} MAY STILL BE RENTED at {errors.format_price(paid(outs))}: it was rented"


def _changes_machine(found: Changes) -> bool:
    # The engine asks for an update despite such drift only after a fresh look found the machine alive.
    return bool(found.in_place or "drift" in found.replace)


def _restore_settings(
    instance: Instance, old: InstanceSettings, new: InstanceSettings, outs: dict[str, Any], context: OperationContext
) -> Meanwhile:
    """Restore the old settings, whose weights the instance still has; return its real condition."""
    context.report_progress("start", "the change failed; going back to the settings of before")
    bootstrap, host_key = bootstrap_of(old, new, context), str(outs.get("hostKey"))
    try:
        bootstrap.serve(instance, host_key, context.report_progress)
    except BootstrapError as error:
        context.report_progress("start", f"going back failed too: {error}")
    else:
        return Meanwhile.SERVES_AS_BEFORE
    try:
        facts = bootstrap.observe(instance, host_key, context.report_progress)
    except BootstrapError:
        return Meanwhile.UNKNOWN
    if not facts.gate_open:
        return Meanwhile.GATE_CLOSED
    return Meanwhile.STILL_SERVES if facts.vllm_healthy else Meanwhile.VLLM_SILENT


def delete(instance_id: int, settings: InstanceSettings, outs: dict[str, Any], context: OperationContext) -> None:
    """Drain the instance as far as the host allows, destroy it and confirm its end.

    Then give back other instances with this label, without draining them. Continues without an engine. Raises StillRented.
    Raises OtherAccount or AccountUnknown if the instance is not visible and may be on another account.
    """
    with context.clock.without_engine():  # a host whose gate was closed for good must not stay rented
        limits, gone = settings.to_limits(), False
        try:
            instance = look_up(_patient(context, limits), instance_id, settings.label)
            gone = instance is None
        except errors.VastError as error:
            context.report_progress("drain", f"left out: {error}")
            instance = None
        if instance is None:
            account.confirm(
                _patient(context, limits), account.number(outs.get("account")), _was_rented(instance_id, outs)
            )
        if instance is not None and isinstance(classify(instance, settings.server.port), Running):
            bootstrap_of(settings, settings, context).drain(instance, str(outs.get("hostKey")), context.report_progress)
        # A market whose reads lag may show it again. Its age counts from the end of its create, as in `read`.
        served_at = context.clock.monotonic() - _age(outs, context)
        give_back(Renter(context.market, context.clock, limits), instance_id, paid(outs), served_at)
        context.budget.given_back(instance_id)
        if gone:
            _record_end(instance_id, settings, outs, context, None)
        else:
            why = instance_end.GIVEN_BACK
            state_ended(context.ledger, context.clock.time(), settings.label, instance_id, outs, why, None)
        forget(context.marks, settings.label, instance_id)
        try:
            others = surplus(_patient(context, limits), instance_id, settings.label)
        except errors.DOUBTS as doubt:
            raise errors.OutcomeUnknown(
                "list",
                f"instance {instance_id} is given back; whether another one carries the label {settings.label} is not known: "
                f"{doubt}. Run `pulumi destroy` again",
            ) from doubt
        _end_surplus(context, limits, others)
        context.report_progress("confirm gone", f"instance {instance_id} is not rented any more")


def _record_end(
    instance_id: int,
    settings: InstanceSettings,
    outs: dict[str, Any],
    context: OperationContext,
    lost: Reason | None,
    follows: str = "",
) -> None:
    """Record and report how an instance ended that this stack did not give back. `lost`: the reason without a word."""
    now = context.clock.time()
    end = context.ends.of(settings, instance_id, now)
    if end.description:
        context.report_progress("gone", f"{end.description}{follows}")
    at, reason = (now, lost) if end.at is None else (end.at, None)
    state_ended(context.ledger, at, settings.label, instance_id, outs, end.why, reason)


def _end_surplus(context: OperationContext, limits: Limits, others: list[Instance]) -> None:
    def record(one: Instance) -> None:
        row_ended(context.ledger, context.clock.time(), one, instance_end.SURPLUS)

    give_back_all(Renter(context.market, context.clock, limits), others, record)


def _patient(context: OperationContext, limits: Limits) -> PatientMarket:
    until = context.clock.monotonic() + limits.outage_seconds
    return PatientMarket(context.market, context.clock, limits, until, context.report_progress)


def bootstrap_of(
    settings: InstanceSettings, opening: InstanceSettings, context: OperationContext, in_state: bool = True
) -> InstanceBootstrap:
    """Return the bootstrap of an instance's host.

    It serves by `settings`, and logs in with the keys of `opening` or of `settings`.
    """
    key, other = (one.access.ssh_private_key.get_secret_value() for one in (opening, settings))
    others = (other,) if other != key else ()
    return context.hosting(
        settings, key, context.keys, settings.to_limits(), context.clock, context.market, in_state, others
    )


def _outputs(served: Served) -> dict[str, Any]:
    instance = served.instance
    return {
        "instanceId": instance.id,
        "endpoint": served.endpoint,
        "ssh": _mapped(instance, SSH_PORT),
        "usdPerHour": served.usd_per_hour,
        "hostKey": served.host_key,
        "machine": facts_of(instance),
        "certificateEnd": served.certificate_end,
        "phases": served.seconds,
        "drift": [],
        "endsAt": instance.end_date,
        "downSince": None,
        "warm": served.warm,
    }


def endpoint_of(instance: Instance, settings: InstanceSettings) -> str:
    """Return the URL at which a running instance answers; only the scheme if it has no address."""
    return f"https://{_mapped(instance, settings.server.port)}"


def _mapped(instance: Instance, port: int) -> str:
    mapped = instance.address(port)
    return f"{mapped[0]}:{mapped[1]}" if mapped else ""
