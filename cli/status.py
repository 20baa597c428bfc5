"""`gpu-fleet status`: the stack's instances as state and market know them, with the sum of their charges."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from cli.command import command, json_option, stack_option
from cli.context import CommandContext, open_selected
from cli.controller_url import controller_url, outputs_of
from cli.stacks import maker
from cli.tables import columns, money, since
from config.messages import ConfigError
from config.slot_names import slot_of
from providers.vast.api import label
from providers.vast.api.errors import VastError
from providers.vast.api.instance import Instance, all_known
from providers.vast.charged_price import paid
from providers.vast.pulumi_state import INSTANCE, BackendError, deployment_of, run_pulumi, slots_of, state_of

GONE, UNKNOWN = "gone", "unknown"  # the market lists it no more; the market does not answer
TITLES = ("name", "market id", "GPU", "region", "status", "endpoint", "$/h", "up since")


@dataclass(frozen=True)
class Row:
    """One instance. `status` is the market's word, `gone` or `unknown`; `up_since` is in unix seconds if state says it.

    `slot` is the name of its own stack if it is a slot of an elastic fleet.
    """

    name: str
    id: int
    gpu: str
    region: str
    status: str
    endpoint: str
    usd_per_hour: float
    up_since: float | None
    drift: tuple[str, ...] = ()
    slot: str = ""


@dataclass(frozen=True)
class Report:
    """A stack's instances with those of its slots, and the ids that carry its label without being in a state.

    `slots_without_instance` describes the other slots' stacks. `controller` has the `url` of the process that owns the count
    of elastic fleets, if that is known.
    """

    stack: str
    instances: tuple[Row, ...]
    unknown_to_state: tuple[int, ...]
    market_trouble: str = ""
    slots_without_instance: tuple[str, ...] = ()
    controller: Mapping[str, str] | None = None

    @property
    def usd_per_hour(self) -> float:
        """Sum what the instances are charged, in $/h; one that is gone costs nothing."""
        return sum(row.usd_per_hour for row in self.instances if row.status != GONE)


@command("status", BackendError, VastError, ConfigError)
@json_option
@stack_option
def status(as_json: bool, stack: str | None) -> None:
    """Show the stack's instances: where they run, whether the market says they do, and their charges.

    Nothing is changed, and no endpoint is asked. `pulumi refresh` looks at each host.
    """
    context = open_selected(stack)
    deployment = deployment_of(run_pulumi, context.stack)
    report = look(context, deployment, slot_deployments(context.stack))
    if url := controller_url(context.stack, outputs_of(deployment)):
        report = replace(report, controller={"url": url})
    if as_json:
        print(json.dumps({**asdict(report), "usd_per_hour": round(report.usd_per_hour, 6)}, indent=2))
    else:
        print("\n".join(described(report, context.clock.time())))


def slot_deployments(stack: str) -> dict[str, dict[str, Any] | str]:
    """Return the state of each slot's stack by its name; a text says why one cannot be read."""

    def read(name: str) -> dict[str, Any] | str:
        try:
            return deployment_of(run_pulumi, name)
        except (BackendError, ValueError) as error:
            return str(error)

    try:
        return {name: read(name) for name in slots_of(run_pulumi, stack)}
    except (BackendError, ValueError) as error:
        return {"of every name": str(error)}


def look(context: CommandContext, deployment: dict[str, Any], slots: Mapping[str, dict[str, Any] | str]) -> Report:
    """Compare a stack's state with the account's list. A market that does not answer leaves every status unknown."""
    try:
        listed, trouble = all_known(context.market.instances()), ""
    except VastError as error:
        listed, trouble = [], str(error)
    return report_of(context.stack, deployment, listed, trouble, slots)


def report_of(
    stack: str,
    deployment: dict[str, Any],
    listed: Iterable[Instance],
    trouble: str = "",
    slots: Mapping[str, dict[str, Any] | str] = MappingProxyType({}),
) -> Report:
    """Return the report on states and a list, all handed in. What a slot creates, or may have, is not unknown."""
    by_id = {one.id: one for one in listed}
    read = {name: found for name, found in slots.items() if not isinstance(found, str)}
    found = [_row(outputs, by_id, trouble) for outputs in _instances(deployment)]
    found += [
        replace(_row(outputs, by_id, trouble), slot=name) for name, one in read.items() for outputs in _instances(one)
    ]
    rows = tuple(sorted(found, key=lambda row: row.name))
    own, known = state_of(stack, deployment).stack_ids, {row.id for row in rows}
    states = {name: state_of(name, one) for name, one in read.items()}
    doubtful = {slot.instance for name in slots if name not in read and (slot := slot_of(stack, name))}
    doubtful |= {name for state in states.values() for name in state.creating}
    strangers = [
        one.id
        for one in by_id.values()
        if (mark := label.parse(one.label)) and mark.stack_id in own and mark.name not in doubtful
    ]
    without = [f"{name}: its state cannot be read ({one})" for name, one in slots.items() if isinstance(one, str)]
    for name, state in states.items():
        if state.creating:
            without.append(f"{name}: an `up` is creating its instance, or was killed while it did")
        elif not state.instances:
            without.append(f"{name}: no instance; `gpu-fleet sweep --destroy` removes the stack")
    return Report(stack, rows, tuple(sorted(set(strangers) - known)), trouble, tuple(sorted(without)))


def _instances(deployment: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = deployment.get("resources") or []
    return [row.get("outputs") or {} for row in rows if row.get("type") == INSTANCE and not row.get("delete")]


def _row(outputs: Mapping[str, Any], by_id: Mapping[int, Instance], trouble: str) -> Row:
    number, machine = int(outputs.get("instanceId") or 0), outputs.get("machine") or {}
    seen = by_id.get(number)
    gpu, count = str(machine.get("gpuName") or ""), int(machine.get("gpuCount") or 1)
    return Row(
        name=str(outputs.get("name")),
        id=number,
        gpu=f"{count} x {gpu}" if gpu and count > 1 else gpu,
        region=((seen.geolocation if seen else "") or str(machine.get("country") or "")).strip(" ,"),
        status=(seen.actual_status or "none") if seen else UNKNOWN if trouble else GONE,
        endpoint=str(outputs.get("endpoint") or ""),
        usd_per_hour=paid(outputs) or 0.0,
        up_since=outputs.get("createdAt"),
        drift=tuple(map(str, outputs.get("drift") or ())),
    )


def _moment(at: float | None, now: float) -> str:
    return "" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} ({since(now - at)})"


def described(report: Report, now: float) -> list[str]:
    """Write the report for people; `now` in unix seconds."""
    lines = []
    if report.instances:
        cells = [
            (
                row.name,
                str(row.id),
                row.gpu,
                row.region,
                row.status,
                row.endpoint,
                money(row.usd_per_hour),
                _moment(row.up_since, now),
            )
            for row in report.instances
        ]
        lines += columns(TITLES, cells)
        count = len(report.instances)
        lines.append(f"{count} instance{'s' if count > 1 else ''}, {money(report.usd_per_hour)}/h together")
        if of_slots := [row.name for row in report.instances if row.slot]:
            lines.append(f"Slots of elastic fleets, which the controller starts and ends: {', '.join(of_slots)}")
    else:
        lines.append(
            f"The stack {report.stack} has no instance; {maker(report.stack)} brings those of its config online."
        )
    if report.controller:
        lines.append(f"The controller of elastic fleets answers at {report.controller['url']}")
    if report.market_trouble:
        lines.append(f"The market does not answer, so no status is known: {report.market_trouble}")
    lines += [f"{row.name}: {one}" for row in report.instances for one in row.drift]
    lines += [f"Slot {one}" for one in report.slots_without_instance]
    if gone := [row.name for row in report.instances if row.status == GONE and not row.slot]:
        lines.append(f"The market lists {', '.join(gone)} no more: `pulumi up --refresh` rents again.")
    if report.unknown_to_state:
        numbers = ", ".join(map(str, report.unknown_to_state))
        lines.append(
            f"Not in the state, but with this stack's label: {numbers}. `gpu-fleet sweep` says what they cost."
        )
    return lines
