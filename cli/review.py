"""`gpu-fleet review`: say what an edit of stack config does, what it costs, and why not."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import click

from cli.command import command, known_stacks
from cli.errors import CommandError
from cli.own_kit import kit_size
from config.base import PROJECT
from config.messages import ConfigError
from providers.engine_watch import UnwatchedClock
from providers.vast.api.errors import VastError
from providers.vast.stack_market import open_market
from review.comment.render import Comment, comment
from review.prospects import NO_KEY, Look
from review.report import Exit, Review
from review.reviewing import Asked, base_of, review
from review.revision import StackRevision
from review.standing import StandingUnreadable, read_standing
from review.standing_file import standing_text
from review.tree import WORK_TREE, Tree, UnfitFile, UsageError, open_tree

KEYS = ("VAST_REVIEW_KEY", "VAST_API_KEY")
FORGES = ("github", "gitlab")


@command("review", VastError, misused=int(Exit.USAGE))
@click.option(
    "--base", default="HEAD", show_default=True, metavar="REV", help="The revision that is applied, or will be."
)
@click.option(
    "--head",
    default=WORK_TREE,
    show_default=True,
    metavar="REV",
    help="The revision to review; `worktree` for the files as they are on this disk.",
)
@click.option(
    "--stack",
    metavar="NAME",
    shell_complete=known_stacks,
    help="The stack; without it, the one whose file is edited, else the only one beside the sandbox's.",
)
@click.option("--standing", metavar="FILE|URL", help="What runs, as `gpu-fleet standing` or `apply` published it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
@click.option("--post", type=click.Choice(FORGES), help="Write the review as the one comment of this pull request.")
def review_command(
    base: str, head: str, stack: str | None, standing: str | None, as_json: bool, post: str | None
) -> int:
    """Say what an edit of stack config does to each instance, what it costs, and why not.

    Both revisions are read as data: nothing of the head runs, and nothing is rented. It needs no engine, no passphrase and
    no state. VAST_REVIEW_KEY, a key of the market with scope misc, asks for offers.

    Exit status: 0 fine, 1 refused, 2 warnings, 4 the market was not asked or is silent, or the forge took
    no comment, 64 wrong usage.
    """
    project = Path()
    try:
        base_tree, head_tree = open_tree(base, project), open_tree(head, project)
        name = stack or only_stack(project, base_tree, head_tree)
        runs = read_standing(standing_text(standing)) if standing else None
    except (UsageError, StandingUnreadable, OSError) as error:
        _misused(str(error))
    at = UnwatchedClock().time()
    old, notes = base_of(base_tree, name)
    asked = Asked(name, base_tree, head_tree, at, runs, kit_size)
    found = review(asked, old, look_of(old, name, os.environ), notes)
    made = comment(found)
    _show(found, made, as_json)
    if post and not _posted(post, made) and found.exit in {Exit.FINE, Exit.WARNS}:
        return int(Exit.MARKET_SILENT)  # a review without its comment on the forge is not green
    return int(found.exit)


def only_stack(project: Path, base: Tree, head: Tree) -> str:
    """Return the stack whose file alone is edited, else the only one beside the sandbox's. Raises UsageError."""
    names = sorted(file.name[len("Pulumi.") : -len(".yaml")] for file in project.glob("Pulumi.*.yaml"))
    edited = [name for name in names if _text(base, name) not in (None, _text(head, name))]
    if len(edited) == 1:
        return edited[0]
    real = [name for name in names if name != "local"] or names
    if len(real) != 1:
        raise UsageError(f"name the stack with --stack; this folder has {', '.join(names) or 'none'}")
    return real[0]


def _text(tree: Tree, stack: str) -> str | None:
    path = f"Pulumi.{stack}.yaml"
    try:
        return tree.text(path) if tree.has(path) else None
    except UnfitFile:
        return None


def look_of(base: StackRevision | None, stack: str, environ: Mapping[str, str]) -> Look:
    """Return the market that the base branch names, asked with the caller's key, else with one that it has in plain.

    The head names no market and no key.
    """
    key = next((environ[name] for name in KEYS if environ.get(name)), None) or plain_key(base)
    if base is None:
        return Look(None, "the base branch names no market, and a review asks none that only the head names")
    if key is None:
        return Look(None, NO_KEY)
    market = base.config.market
    if market.url in base.file.secret_leaves.values:
        return Look(None, "the market's URL is encrypted, and a review decrypts nothing")
    config = {f"{PROJECT}:market": market.model_dump(by_alias=True)}
    try:
        return Look(open_market(stack, config, {}, key).client)
    except (ConfigError, VastError) as error:
        return Look(None, f"the market cannot be asked: {error}")


def plain_key(base: StackRevision | None) -> str | None:
    """Return the key that the base branch has in plain, as the sandbox's stack does: it is no secret."""
    key = base.file.values.get("vastApiKey") if base else None
    return key if base and isinstance(key, str) and key not in base.file.secret_leaves.values else None


def _show(found: Review, made: Comment, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found.to_json(made.body), indent=2))
    else:
        from rich.console import Console  # noqa: PLC0415 -- slow to import

        from review.table import show  # noqa: PLC0415

        show(found, Console())


def _posted(forge: str, made: Comment) -> bool:
    """Post the comment, after the review was printed, and say so; return whether the forge took it."""
    from review.forge.places import forge_of  # noqa: PLC0415 -- httpx is slow to import
    from review.forge.sticky import ForgeError, publish  # noqa: PLC0415

    try:
        did = publish(forge_of(forge, os.environ, UnwatchedClock()), made)
    except ForgeError as error:
        print(str(error), file=sys.stderr)
        return False
    print(f"The comment on {forge}: {did.value}.", file=sys.stderr)
    return True


def _misused(message: str) -> NoReturn:
    raise CommandError(message, int(Exit.USAGE))
