"""`gpu-fleet standing`: write what a stack runs, without any secret, for reviews of edits."""

from pathlib import Path

import click

from cli.command import command, stack_option
from cli.stacks import chosen
from providers.engine_watch import UnwatchedClock
from providers.vast.pulumi_state import BackendError, Run, deployment_of, run_pulumi, slots_of
from review.publishing import digests_of, standing_of
from review.revision import RevisionRefused, read_revision
from review.stack_file import NoStackFile
from review.standing import Standing
from review.tree import WORK_TREE, open_tree


@command("standing", BackendError)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file; else it is printed."
)
@stack_option
def standing(out: Path | None, stack: str | None) -> None:
    """Write what the stack runs, for `gpu-fleet review --standing`: machines, prices, places, disks, and no secret."""
    text = published(run_pulumi, chosen(stack)).to_json()
    if out:
        out.write_text(text)
    else:
        print(text, end="")


def published(run: Run, stack: str, project: Path = Path(), spent_this_month: float | None = None) -> Standing:
    """Return what a stack runs, by its state and its slots' states. Raises BackendError."""
    slots = {name: deployment_of(run, name) for name in slots_of(run, stack)}
    tree = open_tree(WORK_TREE, project)
    try:
        reports = read_revision(tree, stack).config.metrics is not None
    except (NoStackFile, RevisionRefused):
        reports = False
    digests = digests_of(tree, reports)
    return standing_of(
        stack, deployment_of(run, stack), slots, UnwatchedClock().time(), **digests, spent_this_month=spent_this_month
    )
