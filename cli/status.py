"""`gpu-fleet status`: the stack's instances as state and market know them, with what they are charged together."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from cli.command import command, json_option, stack_option
from cli.context import CommandContext, open_selected
from cli.stacks import maker
from cli.tables import columns, money, since
from config.messages import ConfigError
from providers.vast.api import label
from providers.vast.api.errors import VastError
from providers.vast.api.instance import Instance, all_known
from providers.vast.charged_price import paid
from providers.vast.pulumi_state import INSTANCE, BackendError, deployment_of, run_pulumi, state_of

GONE, UNKNOWN = "gone", "unknown"  # the market lists it no more; the market does not answer
TITLES = ("name", "market id", "GPU", "region", "status", "endpoint", "$/h", "up since")


@dataclass(frozen=True)
class Row:
    """One instance. `status` is the market's word, `gone` or `unknown`; `up_since` is in unix seconds if state says it."""

    name: str
    id: int
    gpu: str
    region: str
    status: str
    endpoint: str
    usd_per_hour: float
    up_since: float | None
    drift: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """A stack's instances, and the ids that carry its label without being in its state."""

    stack: str
    instances: tuple[Row, ...]
    unknown_to_state: tuple[int, ...]
    market_trouble: str = ""

    @property
    def usd_per_hour(self) -> float:
        """Sum what the instances are charged, in $/h; one that is gone costs nothing."""
        return sum(row.usd_per_hour for row in self.instances if row.status != GONE)


@command("status", BackendError, VastError, ConfigError)
@json_option
@stack_option
def status(as_json: bool, stack: str | None) -> None:
    """Show the stack's instances: where they run, whether the market says they do, and what they are charged.

    Nothing is changed, and no endpoint is asked. `pulumi refresh` looks at each host.
    """
    context = open_selected(stack)
    report = look(context, deployment_of(run_pulumi, context.stack))
    if as_json:
        print(json.dumps({**asdict(report), "usd_per_hour": round(report.usd_per_hour, 6)}, indent=2))
    else:
        print("\n".join(described(report, context.clock.time())))


def look(context: CommandContext, deployment: dict[str, Any]) -> Report:
    """Compare a stack's state with the account's list. A market that does not answer leaves every status unknown."""
    try:
        listed, trouble = all_known(context.market.instances()), ""
    except VastError as error:
        listed, trouble = [], str(error)
    return report_of(context.stack, deployment, listed, trouble)


def report_of(stack: str, deployment: dict[str, Any], listed: Iterable[Instance], trouble: str = "") -> Report:
    """Return the report on a state and a list, both handed in."""
    by_id = {one.id: one for one in listed}
    resources = deployment.get("resources") or []
    states = [row.get("outputs") or {} for row in resources if row.get("type") == INSTANCE and not row.get("delete")]
    rows = tuple(sorted((_row(outputs, by_id, trouble) for outputs in states), key=lambda row: row.name))
    own, known = state_of(stack, deployment).stack_ids, {row.id for row in rows}
    strangers = [one.id for one in by_id.values() if (mark := label.parse(one.label)) and mark.stack_id in own]
    return Report(stack, rows, tuple(sorted(set(strangers) - known)), trouble)


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
    else:
        lines.append(
            f"The stack {report.stack} has no instance; {maker(report.stack)} brings those of its config online."
        )
    if report.market_trouble:
        lines.append(f"The market does not answer, so no status is known: {report.market_trouble}")
    lines += [f"{row.name}: {one}" for row in report.instances for one in row.drift]
    if gone := [row.name for row in report.instances if row.status == GONE]:
        lines.append(f"The market lists {', '.join(gone)} no more: `pulumi up --refresh` rents again.")
    if report.unknown_to_state:
        numbers = ", ".join(map(str, report.unknown_to_state))
        lines.append(
            f"Not in the state, but with this stack's label: {numbers}. `gpu-fleet sweep` says what they cost."
        )
    return lines
