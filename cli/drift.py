"""`gpu-fleet drift`: what differs from the stack's record, for a schedule. Changes nothing, neither state nor a machine."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from cli.command import command, json_option, stack_option
from cli.engine_run import Engine, call_engine, errors_of
from cli.errors import CommandError
from cli.stacks import chosen, maker, unreadable
from cli.tables import columns, money, since
from providers.engine_events import Event, Step, Trouble
from providers.vast.pulumi_state import BackendError, Run, deployment_of, run_pulumi
from review.drift import DriftRow, drift_of, recorded_at

DRIFTED = 7  # the engine's own status for "changes were found"
TITLES = ("instance", "what", "since", "$/h")


@dataclass
class Found:
    """The steps and troubles that the engine told."""

    steps: list[Step] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)

    def take(self, event: Event | None) -> None:
        """Keep an event."""
        if isinstance(event, Step):
            self.steps.append(event)
        elif isinstance(event, Trouble):
            self.troubles.append(event)


@command("drift", BackendError)
@json_option
@stack_option
def drift(as_json: bool, stack: str | None) -> int:
    """Look at each instance and tell what differs from the stack's record. Nothing is changed.

    Exit status: 0 without drift, 7 with drift, 1 if the look failed. It logs in to the hosts, so it needs every secret of
    the stack. Slots of elastic fleets have stacks of their own, and their controller looks after them.
    """
    name = chosen(stack)
    rows = look(name, call_engine, run_pulumi)
    if as_json:
        print(json.dumps({"stack": name, "drift": [row.model_dump() for row in rows]}, indent=2))
    else:
        print("\n".join(described(name, rows, time.time())))
    return DRIFTED if rows else 0


def look(stack: str, engine: Engine, run: Run) -> tuple[DriftRow, ...]:
    """Refresh without writing, and return the drift. Raises CommandError with the engine's reasons if a look failed."""
    found, recorded = Found(), recorded_at(deployment_of(run, stack))
    words = ["refresh", "--preview-only", "--expect-no-changes", "--stack", stack]
    status, complained = engine(words, found.take)
    if status not in (0, DRIFTED) or any(one.is_error for one in found.troubles):
        reasons = errors_of(found.troubles, complained) or [unreadable(stack, complained)]
        raise CommandError("\n".join([f"the drift of stack {stack} is not known, because a look failed:", *reasons]))
    return drift_of(found.steps, recorded)


def described(stack: str, rows: Sequence[DriftRow], now: float) -> list[str]:
    """Write the table; `now` in unix seconds."""
    if not rows:
        return [f"Nothing differs from the record of stack {stack}."]
    cells = [
        (
            row.name,
            row.what,
            "this look" if row.since is None else since(now - row.since),
            "" if row.usd_per_hour is None else money(row.usd_per_hour),
        )
        for row in rows
    ]
    names = sorted({row.name for row in rows})
    helps = f"`pulumi preview --refresh --stack {stack}` says what an update would do, {maker(stack)} does it."
    return [*columns(TITLES, cells), f"Drift of {', '.join(names)}: {helps}"]
