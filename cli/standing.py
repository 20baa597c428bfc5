"""`gpu-fleet standing`: write what a stack runs, without any secret, for reviews of edits."""

from collections.abc import Callable
from pathlib import Path

import click

from bootstrap.kit import KitError
from cli.budget import look
from cli.command import command, stack_option
from cli.context import CommandContext, ledger_of, open_selected, read_config
from cli.errors import CommandError
from cli.own_kit import made_kit
from cli.stacks import chosen
from config.messages import ConfigError
from providers.budget.period import MONTH
from providers.engine_watch import UnwatchedClock
from providers.ledger.event import ENDS
from providers.store.errors import StoreError
from providers.vast.api.errors import VastError
from providers.vast.pulumi_state import BackendError, Run, deployment_of, run_pulumi, slots_of, states
from review.binding import program_digest
from review.kit_sources import kit_of
from review.publishing import standing_of
from review.revision import RevisionRefused, read_revision
from review.stack_file import NoStackFile
from review.standing import Standing
from review.tree import WORK_TREE, Tree, UnfitFile, open_tree
from weights.manifest import Manifest


@command("standing", BackendError)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file; else it is printed."
)
@stack_option
def standing(out: Path | None, stack: str | None) -> None:
    """Write what the stack runs, for `gpu-fleet review --standing`: machines, prices, places, disks, and no secret."""
    name = chosen(stack)
    text = standing_now(name).to_json()
    if out:
        out.write_text(text)
    else:
        print(text, end="")


def standing_now(stack: str) -> Standing:
    """Return what a stack runs, and what the month has cost. Raises BackendError."""
    found = published(run_pulumi, stack, spent_this_month=spent_this_month(stack))
    return found.model_copy(update={"machines": machines_known(stack)})


def machines_known(stack: str, opened: Callable[[str], CommandContext] = open_selected) -> tuple[int, ...] | None:
    """Return the ids of the machines on which an attempt has ended, by the ledger; None if it cannot be read here."""
    try:
        context = opened(stack)
        events = ledger_of(context, read_config(context)).fresh(None, "", ENDS)
    except (CommandError, ConfigError, StoreError):
        return None
    return tuple(sorted({event.machine_id for event in events if event.machine_id is not None}))


def spent_this_month(stack: str, opened: Callable[[str], CommandContext] = open_selected) -> float | None:
    """Return what the UTC month has cost so far, in US dollars, by `gpu-fleet budget`; None if that is not known here."""
    try:
        context = opened(stack)
        config = read_config(context)
        stack_id = states(run_pulumi, context.stack)[0].stack_id
        rows = look(context, config, stack_id).rows if stack_id else ()
    except (CommandError, ConfigError, BackendError, VastError, StoreError):
        return None
    return next((row.spent for row in rows if row.period == MONTH), None)


def published(run: Run, stack: str, project: Path = Path(), spent_this_month: float | None = None) -> Standing:
    """Return what a stack runs, by its state and its slots' states. Raises BackendError."""
    slots = {name: deployment_of(run, name) for name in slots_of(run, stack)}
    found = standing_of(
        stack, deployment_of(run, stack), slots, UnwatchedClock().time(), spent_this_month=spent_this_month
    )
    tree = open_tree(WORK_TREE, project)
    return found.model_copy(update={"kit": applied_kit(found, tree, stack, made_kit), "program": program_digest(tree)})


def applied_kit(found: Standing, tree: Tree, stack: str, make: Callable[[bool], Manifest]) -> str:
    """Return the mark of the kit's sources in the work tree, if every instance has the kit that they make; else nothing.

    The work tree may be ahead of the last apply. `make` builds its kit.
    """
    digests = {one.recorded.kit_digest if one.recorded else "" for one in found.instances}
    try:
        reports = read_revision(tree, stack).config.metrics is not None
        return kit_of(tree, reports).digest if {make(reports).digest} == digests else ""
    except (NoStackFile, RevisionRefused, KitError, UnfitFile, OSError):
        return ""
