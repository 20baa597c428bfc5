"""`gpu-fleet budget`: spend of the UTC day and month, promises, the rest, and when the budget is used up."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cli.command import command, json_option, stack_option
from cli.context import CommandContext, open_selected, read_config, store_keys
from cli.errors import CommandError
from cli.tables import columns, since
from config.messages import ConfigError
from config.stack import StackConfig
from providers.budget.figures import KEYS, MARKET, Figures
from providers.budget.own_count import Rental
from providers.budget.reservations import Reservation
from providers.budget.sentences import dollars
from providers.vast.api.errors import VastError
from providers.vast.instance_budget import open_look
from providers.vast.pulumi_state import BackendError, run_pulumi, states
from providers.vast.settings import BudgetSettings

TITLES = ("UTC", "budget", "spent", "running", "reserved", "left", "$/h", "used up")
NONE_USD = 1e15  # in place of a budget that is not set: its figures are shown all the same


@dataclass(frozen=True)
class Shown:
    """The figures that the command shows. `divided`: people and controller have a part of the budget each.

    `ended_unknown` are instances that no list shows and whose end no event records.
    """

    stack: str
    enforced: bool
    shared: bool
    divided: bool
    now: float
    rows: Sequence[Figures]
    reservations: Sequence[Reservation] = ()
    ended_unknown: Sequence[Rental] = ()


@command("budget", BackendError, VastError, ConfigError)
@json_option
@stack_option
def budget(as_json: bool, stack: str | None) -> None:
    """Show what the stack's budgets have left.

    Spent is the larger of our own count, by the ledger, and the market's charges, if the key may read those. Running and
    reserved are what instances and rents under way may cost until the UTC day or month ends.
    """
    context = open_selected(stack)
    config = read_config(context)
    stack_id = states(run_pulumi, context.stack)[0].stack_id
    if not stack_id:
        raise CommandError(f"the state of stack {context.stack} names no stack id yet, so nothing was rented for it")
    found = look(context, config, stack_id)
    print(json.dumps(to_json(found), indent=2) if as_json else "\n".join(described(found)))


def look(context: CommandContext, config: StackConfig, stack_id: str) -> Shown:
    """Ask for all figures of a stack. Raises VastError."""
    wanted = config.budget
    elastic = tuple(sorted(name for name, fleet in config.fleets.items() if fleet.elastic))
    terms = BudgetSettings(
        usd_per_day=wanted.usd_per_day or NONE_USD,
        usd_per_month=wanted.usd_per_month or NONE_USD,
        controller_share=wanted.controller_share,
        elastic=elastic,
    )
    store, clock = config.store, context.clock
    place = (store.endpoint, store.region, store.bucket, store_keys(context), clock)
    market = context.market
    settle = context.limits.settle_seconds
    one = open_look(terms, stack_id, context.scale, place, context.folder, market.charges, settle)
    rows, promises = one.look(market)
    lost = [
        rental
        for rental in promises.rentals.values()
        if rental.served
        and rental.ended is None
        and rental.instance_id not in promises.running
        and rental.instance_id not in {held.instance_id for held in promises.reserved.values()}
    ]
    enforced = wanted.enforce and bool(wanted.by_period)
    shared = one.is_shared()
    divided = bool(elastic) and not shared
    reserved = list(promises.reserved.values())
    return Shown(context.stack, enforced, shared, divided, clock.time(), rows, reserved, lost)


def to_json(found: Shown) -> dict[str, Any]:
    """Return the figures for a program, in dollars. Without a budget, `budget` and `left` are null."""
    return {
        "stack": found.stack,
        "enforced": found.enforced,
        "shared": found.shared,
        "periods": [
            {
                "period": row.period,
                "budget": row.budget if is_set(row) else None,
                "spent": round(row.spent, 6),
                "countedBy": row.counted_by,
                "own": round(row.own, 6),
                "charged": None if row.charged is None else round(row.charged, 6),
                "running": round(row.running, 6),
                "reserved": round(row.reserved, 6),
                "left": round(row.left, 6) if is_set(row) else None,
                "hoursLeft": round(row.hours_left, 4),
                "usdPerHour": round(row.usd_per_hour, 6),
                "usedUpAt": None if (at := used_up_at(row, found.now)) is None else moment(at),
            }
            for row in found.rows
        ],
        "reservations": [
            {
                "name": one.name,
                "usdPerHour": one.usd_per_hour,
                "since": moment(one.at),
                "until": moment(one.until),
                "instance": one.instance_id,
            }
            for one in found.reservations
        ],
        "endUnknown": [{"name": one.name, "instance": one.instance_id} for one in found.ended_unknown],
    }


def described(found: Shown) -> list[str]:
    """Write the figures for people."""
    lines = columns(TITLES, [_cells(row, found.now) for row in found.rows])
    if any(row.charged is None for row in found.rows):
        lines.append("Spent is our own count: the key may not read what the market charges (scope billing_read).")
    else:
        lines += [
            f"{row.period}: spent by {MARKET}; our own count is {dollars(row.own)}"
            for row in found.rows
            if row.counted_by == MARKET
        ]
    for one in found.reservations:
        age, ends = since(found.now - one.at), moment(one.until)
        lines.append(f"Reserved: {one.name} at ${one.usd_per_hour:.3f}/h for {age}, until {ends} at most")
    for lost in found.ended_unknown:
        lines.append(
            f"No event records the end of instance {lost.instance_id} ({lost.name}). It counts as rented until the next rent "
            "finds it unlisted; `pulumi refresh` records the end."
        )
    if not any(is_set(row) for row in found.rows):
        keys = " or ".join(f"gpu-fleet:budget.{key}" for key in KEYS.values())
        lines.append(f"The stack has no budget, so no rent is refused; set {keys}")
    elif not found.enforced:
        lines.append("The budget only observes, because budget.enforce is false; no rent is refused")
    elif found.divided:
        lines.append(
            "The store has no conditional writes, so people and controller have a part of the budget each "
            "(budget.controllerShare)"
        )
    return lines


def is_set(row: Figures) -> bool:
    """Say whether the period has a budget."""
    return row.budget < NONE_USD / 1e3


def used_up_at(row: Figures, now: float) -> float | None:
    """Return when the budget is used up at the present rate, in unix seconds; None if not before its period ends."""
    return now + row.hours_to_go * 3600 if is_set(row) and row.hours_to_go is not None else None


def moment(at: float) -> str:
    """Write a moment in UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _cells(row: Figures, now: float) -> list[str]:
    at = used_up_at(row, now)
    used_up = "not before it ends" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}"
    money = [dollars(usd) for usd in (row.spent, row.running, row.reserved)]
    if not is_set(row):
        return [row.period, "none", *money, "", f"${row.usd_per_hour:.3f}", ""]
    return [row.period, dollars(row.budget), *money, dollars(row.left), f"${row.usd_per_hour:.3f}", used_up]
