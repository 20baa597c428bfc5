"""`gpu-fleet worth`: what each fleet and model cost, what that bought, and what hosted APIs ask for the same."""

import json
from collections.abc import Sequence
from typing import Any

import click

from cli.command import command, json_option, stack_option
from cli.context import ledger_of, open_selected, read_config
from cli.prometheus import prometheus_option
from cli.tables import columns, since
from config.messages import ConfigError
from monitoring.prometheus import Prometheus, PrometheusError
from monitoring.report.quantities import shown
from monitoring.worth.figures import MONTH_HOURS, Worth, together, worth
from monitoring.worth.prices import prices_of
from monitoring.worth.rentals import rentals_of
from monitoring.worth.use import ask_use
from providers.budget.own_count import COUNTED
from providers.store.errors import StoreError
from providers.vast.api.errors import VastError
from providers.vast.api.instance import all_known
from providers.vast.pulumi_state import BackendError, run_pulumi, state_named

NO_ANSWER = 3
DAY = 86_400.0
UNKNOWN = "?"
PAID = ("fleet", "model", "paid", "failed", "starting", "idle", "used", "unseen", "always on", "saved")
BOUGHT = ("fleet", "model", "requests", "a request", "tokens in", "out", "1M tokens", "1M in", "1M out", "tokens/h")
COMPARED = ("fleet", "model", "compared with", "its 1M in", "its 1M out", "the same tokens", "break-even tokens/h")


@command("worth", BackendError, ConfigError, StoreError)
@prometheus_option
@click.option(
    "--days", type=click.FloatRange(min=0, min_open=True), default=30.0, show_default=True, help="How far back."
)
@json_option
@stack_option
def worth_command(prometheus: str, days: float, as_json: bool, stack: str | None) -> int:
    """Tell what each fleet and model cost in the last days, and what the money bought.

    Each $ is in one part. Failed: rentals that never served. Starting: until they served. Idle: ready, and the last request
    ended more than five minutes before. Used: ready otherwise. Unseen: not ready after they served, or without a report.
    `always on`: the price of the largest number of instances that served at once, over the whole period. `comparedWith` of
    a model names hosted APIs, whose list prices stand beside.

    An unknown figure is `?`, and null in --json.

    Exit status: 0, or 3 if Prometheus does not answer; what the ledger knows is then shown all the same.
    """
    context = open_selected(stack)
    config = read_config(context, None)
    now, troubles = context.clock.time(), []
    window = (now - days * DAY, now)
    state = state_named(run_pulumi, context.stack)
    events = ledger_of(context, config).fresh(state.stack_id, "", COUNTED)
    if state.trouble:
        troubles.append(f"The state cannot be read, so every stack of this ledger counts: {state.trouble}")
    try:
        listed = {one.id for one in all_known(context.market.instances())}
    except VastError as error:
        listed = None
        troubles.append(f"The market does not answer, so it is not known what still runs: {error}")
    try:
        use = ask_use(Prometheus(prometheus), window, {state.stack_id} if state.stack_id else ())
    except PrometheusError as error:
        use = None
        troubles.append(f"Idle time, requests and tokens are unknown: {error}")
    models = {name: fleet.model for name, fleet in config.fleets.items()}
    rows = worth(rentals_of(events, now, listed, context.scale), use, window, models, prices_of(config, now))
    if as_json:
        print(json.dumps({**facts(context.stack, days, rows), "troubles": troubles}, indent=2))
    else:
        print("\n".join([*described(context.stack, days, rows), *troubles]))
    return NO_ANSWER if use is None else 0


def facts(stack: str, days: float, rows: Sequence[Worth]) -> dict[str, Any]:
    """Return the figures as JSON has them. Money is in $; shares are 0 to 1."""
    return {
        "stack": stack,
        "days": days,
        "fleets": [_facts(row, days) for row in rows],
        "total": _facts(together(rows), days) if rows else None,
    }


def _facts(row: Worth, days: float) -> dict[str, Any]:
    parts, work = row.parts, row.work
    usd = {name: getattr(parts, name) for name in ("failed", "starting", "serving", "idle", "used", "unseen")}
    return {
        "fleet": row.fleet,
        "model": row.model,
        "rentals": row.rentals,
        "usd": {"paid": parts.paid, **usd},
        "shares": {name: parts.share(part) for name, part in usd.items()},
        "on_top_of_use": parts.on_top,
        "starting_seconds": row.starting_seconds,
        "served_hours": row.served_hours,
        "usd_per_hour": row.usd_per_hour,
        "always_on_usd": row.always_on,
        "always_on_month_usd": _month(row, days),
        "saved": row.saved,
        "requests": work.requests if work else None,
        "tokens": {"in": work.tokens_in, "out": work.tokens_out} if work else None,
        "usd_per_request": row.usd_per_request,
        "usd_per_million_tokens": {side: row.usd_per_million(side) for side in ("both", "in", "out")},
        "tokens_per_hour": row.tokens_per_hour,
        "compared": [
            {
                "with": one.name,
                "usd_per_million_tokens": {"in": one.usd_per_million_in, "out": one.usd_per_million_out},
                "usd": one.usd,
                "break_even_tokens_per_hour": one.break_even,
            }
            for one in row.compared
        ],
        "doubts": list(row.doubts),
    }


def described(stack: str, days: float, rows: Sequence[Worth]) -> list[str]:
    """Write the figures for people."""
    if not rows:
        return [f"Nothing was rented for stack {stack} in {days:g} days."]
    every = together(rows)
    lines = [f"Stack {stack}, {days:g} days:", "", *columns(PAID, [_paid(row) for row in [*rows, every]]), ""]
    lines += columns(BOUGHT, [_bought(row) for row in rows])
    if compared := [cells for row in rows for cells in _compared(row)]:
        lines += ["", *columns(COMPARED, compared)]
    lines += ["", _summary(every, days)]
    return [*lines, *(f"At least, because of {doubt}" for doubt in every.doubts)]


def _paid(row: Worth) -> tuple[str, ...]:
    parts = row.parts
    shares = (parts.share(part) for part in (parts.failed, parts.starting, parts.idle, parts.used, parts.unseen))
    at_least = "≥ " if row.doubts else ""
    return (
        row.fleet or "all",
        row.model,
        f"{at_least}{shown(parts.paid, 'usd')}",
        *(_known(share, "ratio") for share in shares),
        _known(row.always_on, "usd"),
        f"{'≤ ' if row.doubts and row.saved is not None else ''}{_known(row.saved, 'ratio')}",
    )


def _bought(row: Worth) -> tuple[str, ...]:
    work = row.work
    counts = (None, None, None) if work is None else (work.requests, work.tokens_in, work.tokens_out)
    requests, read, written = (_count(count) for count in counts)
    each = (_known(row.usd_per_million(side), "usd") for side in ("both", "in", "out"))
    return (
        row.fleet,
        row.model,
        requests,
        _known(row.usd_per_request, "usd"),
        read,
        written,
        *each,
        _count(row.tokens_per_hour),
    )


def _compared(row: Worth) -> list[tuple[str, ...]]:
    return [
        (
            row.fleet,
            row.model,
            one.name,
            shown(one.usd_per_million_in, "usd"),
            shown(one.usd_per_million_out, "usd"),
            _known(one.usd, "usd"),
            _count(one.break_even),
        )
        for one in row.compared
    ]


def _summary(every: Worth, days: float) -> str:
    parts = [f"Paid for {since(every.starting_seconds)} before instances served."]
    if every.parts.on_top is not None:
        parts.append(f"On top of use came {shown(every.parts.on_top, 'ratio')}.")
    if (month := _month(every, days)) is not None:
        parts.append(f"Always on, a month of {MONTH_HOURS:g} h costs {shown(month, 'usd')}.")
    return " ".join(parts)


def _month(row: Worth, days: float) -> float | None:
    return None if row.always_on is None else row.always_on / (days * 24) * MONTH_HOURS


def _known(value: float | None, unit: str) -> str:
    return UNKNOWN if value is None else shown(value, unit)


def _count(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.0f}"
