"""Turn a refresh's steps into rows of drift: each drift line of an instance, and the changed keys of other resources."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from providers.engine_events import Step
from providers.vast.charged_price import has_risen, paid
from providers.vast.pulumi_state import INSTANCE
from review.report import Row

CHARGED = "chargedUsdPerHour"
GONE = "the market lists it no more"


class DriftRow(Row):
    """One deviation. `since` in unix seconds, None if this look is the first to see it; `usd_per_hour` None if unknown."""

    name: str
    what: str
    since: float | None = None
    usd_per_hour: float | None = None


def drift_of(steps: Iterable[Step], recorded: Mapping[str, float]) -> tuple[DriftRow, ...]:
    """Return the deviations that a refresh's steps tell, by name.

    `recorded`: when state was last written, in unix seconds, by the name of each instance. The function reads only
    those outputs that it names: others may be secret.
    """
    rows = [
        row for step in steps for row in (_of_instance(step, recorded) if step.type == INSTANCE else _of_part(step))
    ]
    return tuple(sorted(set(rows), key=lambda row: (row.name, row.what)))


def _of_instance(step: Step, recorded: Mapping[str, float]) -> list[DriftRow]:
    price = paid(step.outputs or step.before)
    if step.operation == "delete":
        return [DriftRow(name=step.name, what=GONE, usd_per_hour=0.0)]
    known = set(_lines(step.before))
    rows = [
        DriftRow(
            name=step.name,
            what=line,
            since=_number(step.outputs.get("downSince")) if line not in known else recorded.get(step.name),
            usd_per_hour=price,
        )
        for line in _lines(step.outputs)
    ]
    old, new = _number(step.before.get(CHARGED)), _number(step.outputs.get(CHARGED))
    if old is not None and new is not None and has_risen(old, new):
        rows.append(DriftRow(name=step.name, what=f"price: charged ${new:.3f}/h, was ${old:.3f}/h", usd_per_hour=price))
    return rows


def _of_part(step: Step) -> list[DriftRow]:
    """Name the changed keys, never their values."""
    if step.operation == "delete":
        return [DriftRow(name=step.name, what=f"it is gone ({step.type})")]
    if step.operation != "update":
        return []
    keys = sorted(key for key in {*step.before, *step.outputs} if step.before.get(key) != step.outputs.get(key))
    hidden = [key for key in keys if not key.startswith("__")]
    return [DriftRow(name=step.name, what=f"changed: {', '.join(hidden)} ({step.type})")] if hidden else []


def recorded_at(deployment: Mapping[str, Any]) -> dict[str, float]:
    """Return when state was last written for each instance, from `pulumi stack export`; names without a time are left out."""
    found = {}
    for row in deployment.get("resources") or []:
        if row.get("type") == INSTANCE and (at := _moment(row.get("modified"))) is not None:
            found[str(row.get("urn", "")).rpartition("::")[2]] = at
    return found


def _lines(outputs: Mapping[str, Any]) -> list[str]:
    lines = outputs.get("drift")
    return [str(one) for one in lines] if isinstance(lines, list) else []


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _moment(text: object) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None
