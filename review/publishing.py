"""Makes `standing.json` from a stack's state, whose secrets stay encrypted and are left out."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from config.masking import HIDDEN
from config.rotation import RotationConfig
from config.slot_names import parse
from providers.old_state import seconds_of
from providers.vast.api.errors import SettingsInvalid
from providers.vast.api.label import parse as parse_label
from providers.vast.certificate_due import with_due
from providers.vast.lifecycle import compare
from providers.vast.machine_facts import machine_of
from providers.vast.pulumi_state import IDENTITY, INSTANCE
from providers.vast.settings import InstanceSettings
from providers.vast.written import read_settings
from review.standing import Recorded, Standing, StandingInstance, recorded_of

SIGNATURE = "4dabf18193072939515e22adb298388d"  # of a secret in Pulumi's state
OPAQUE = f"{HIDDEN} in the state of the stack"
ACCESS = ("sshPrivateKey", "caKey", "token", "metricsKey")


def standing_of(
    stack: str,
    deployment: Mapping[str, Any],
    slots: Mapping[str, Mapping[str, Any]],
    at: float,
    kit: str = "",
    program: str = "",
    spent_this_month: float | None = None,
) -> Standing:
    """Return what a stack runs, from the `deployment` of `pulumi stack export`.

    `slots`: the deployments of the stacks of its slots, by their names. `at`: unix seconds. A row that cannot be read is
    counted and left aside. `spent_this_month`: US dollars, None if unknown.
    """
    rows = [(row, False) for row in _instances(deployment)]
    rows += [(row, True) for name, one in slots.items() if parse(name) for row in _instances(one)]
    found = [_instance(row, slot, at) for row, slot in rows]
    return Standing(
        stack=stack,
        at=at,
        kit=kit,
        program=program,
        rotation=_rotation(deployment),
        spent_this_month=spent_this_month,
        instances=tuple(one for one in found if one),
        unreadable=found.count(None),
    )


def _instances(deployment: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Return the instances that state has. One marked for deletion is given back by the next `up`, whatever it says."""
    rows = deployment.get("resources") or []
    return [row for row in rows if row.get("type") == INSTANCE and row.get("outputs") and not row.get("delete")]


def _rotation(deployment: Mapping[str, Any]) -> dict[str, int]:
    rows = [row for row in deployment.get("resources") or [] if row.get("type") == IDENTITY]
    counters = (rows[0].get("inputs") or {}).get("rotation") if rows else None
    if not isinstance(counters, Mapping):
        return {}
    known = {name: int(value) for name, value in counters.items() if isinstance(value, int | float)}
    return {**dict.fromkeys(RotationConfig.model_fields, 0), **known}  # an older state lacks counters that came later


def _instance(row: Mapping[str, Any], slot: bool, at: float) -> StandingInstance | None:
    outs = with_due(_without_secrets(row["outputs"]), at)
    outs = {**outs, "machine": _mapping(outs.get("machine")), "drift": _lines(outs.get("drift"))}
    label = parse_label(str(outs.get("label") or ""))
    settings = _settings(outs)
    name = label.name if label else str(outs.get("name") or "")
    machine, found = machine_of(outs), compare(settings, settings, outs) if settings else None
    number = str(row.get("id") or "")
    try:
        return StandingInstance(
            name=name,
            fleet=settings.fleet if settings else name.rpartition("-")[0],
            slot=slot,
            instance_id=int(number) if number.isdigit() else None,
            machine_id=_whole(outs["machine"].get("id")),
            gpu_name=machine.gpu_name,
            gpu_count=machine.gpu_count,
            disk_gb=machine.disk_gb,
            country=machine.country,
            usd_per_hour=outs.get("usdPerHour"),
            charged_usd_per_hour=outs.get("chargedUsdPerHour"),
            phases=seconds_of(outs),
            created_at=outs.get("createdAt"),
            ends_at=outs.get("endsAt"),
            drift=tuple(str(one).partition(":")[0] for one in outs["drift"]),
            replaced_by_drift=bool(found and found.replace),
            mended_by_drift=bool(found and found.in_place),
            recorded=_recorded(settings),
        )
    except (ValidationError, TypeError, ValueError):
        return None


def _settings(outs: Mapping[str, Any]) -> InstanceSettings | None:
    """Return the settings in state, with stand-ins for secrets; None for a state that this version cannot read."""
    props = {key: value for key, value in outs.items() if key not in ("secrets", "registry")}
    access = outs.get("access")
    access = dict(access) if isinstance(access, Mapping) else {"sshPublicKey": OPAQUE, "caCertificate": OPAQUE}
    props["access"] = {**access, **{key: OPAQUE for key in ACCESS if key in access or key != "metricsKey"}}
    try:
        return read_settings(props)[0]
    except (SettingsInvalid, ValueError, TypeError):
        return None


def _recorded(settings: InstanceSettings | None) -> Recorded | None:
    return recorded_of(settings) if settings else None


def _without_secrets(value: Any) -> Any:
    """Return a value of state with one text in place of each secret."""
    if isinstance(value, Mapping):
        if SIGNATURE in value:
            return OPAQUE
        return {key: _without_secrets(item) for key, item in value.items()}
    return [_without_secrets(item) for item in value] if isinstance(value, list) else value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _lines(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) else None
