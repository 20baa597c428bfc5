"""`gpu-fleet store gc`: list objects of the stack's bucket that nothing names any more, with their cost, and remove them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cli.command import command, json_option, stack_option
from cli.committed import HEAD, named_by_files
from cli.context import CommandContext, open_selected, read_config, store_keys
from cli.errors import CommandError
from cli.tables import columns, since
from config.messages import ConfigError
from config.stack import StackConfig
from providers.store.bucket_owner import owner, refusal
from providers.store.client import connect
from providers.store.collector import BucketGarbage
from providers.store.errors import StoreError
from providers.store.owner_object import Marking
from providers.store.unneeded import DAY, LEAST_DAYS, Judged, Named, judge, named_by_state, unneeded
from providers.vast.pulumi_state import BLOBS, INSTANCE, BackendError, Run, deployments, run_pulumi, state_of
from weights.quantities import HETZNER, size, storage_euros

TITLES = ("what", "key", "size", "age", "EUR a month")


@click.group("store")
def store() -> None:
    """Look after the stack's bucket."""


@dataclass(frozen=True)
class Found:
    """The objects of a bucket. `read`: where manifests were read; `euros`: a month's saving, None at an unknown price."""

    stack: str
    bucket: str
    judged: Sequence[Judged]
    unneeded: Sequence[Judged]
    read: Sequence[str]
    troubles: Sequence[str]
    euros: float | None

    @property
    def bytes(self) -> int:
        """The size of what nothing needs."""
        return sum(one.stored.size for one in self.unneeded)

    @property
    def young(self) -> int:
        """How many objects stay only because they are young."""
        return sum(one.stays == "young" for one in self.judged)


@command("gc", BackendError, ConfigError, StoreError)
@click.option("--remove", is_flag=True, help="Remove what is listed.")
@click.option(
    "--keep", multiple=True, metavar="REV", help="Also spare what the manifests of this revision name; may be repeated."
)
@click.option(
    "--older-than",
    type=click.FloatRange(min=1),
    default=LEAST_DAYS,
    show_default=True,
    metavar="DAYS",
    help="Spare what is younger: an upload or a fetch may be under way.",
)
@json_option
@stack_option
def gc(remove: bool, keep: tuple[str, ...], older_than: float, as_json: bool, stack: str | None) -> None:
    """List what the bucket holds and nothing names: blobs, compile caches, and old references to blobs.

    An object is named if its digest stands in a JSON file of this work tree or of HEAD, or in the state of any stack of the
    backend. Other branches are not read; --keep reads one. Nothing is removed without --remove, and nothing as long as one
    state or one manifest cannot be read.
    """
    context = open_selected(stack)
    config = read_config(context, None)
    collector, found = look(context, config, keep, older_than)
    removed: list[str] = []
    if remove:
        if found.troubles:
            raise CommandError(
                "\n".join(["nothing was removed, because what is needed is not known:", *found.troubles])
            )
        removed = [one.key for one in collector.remove(found.unneeded)]
    if as_json:
        print(json.dumps({**facts(found), "removed": removed}, indent=2))
        return
    print("\n".join(described(found, older_than, len(removed) if remove else None)))


store.add_command(gc)


def look(
    context: CommandContext,
    config: StackConfig,
    keep: Sequence[str],
    least_days: float,
    project: Path = Path(),
    run: Run = run_pulumi,
) -> tuple[BucketGarbage, Found]:
    """Compare a stack's bucket with states and manifests. Raises CommandError if the bucket is not the stack's."""
    place = config.store
    s3 = connect(place.endpoint, place.region, store_keys(context))
    collector = BucketGarbage(s3, place.endpoint, place.bucket)
    # In this order: an update that began before the states were read shows in one of them, or in a reference.
    stored = collector.stored()
    references = collector.references(stored)
    known = deployments(run, context.stack)
    named = named_by_files(project, keep)
    for name, one in known.items():
        named |= named_by_state(name, one, place.bucket, BLOBS, INSTANCE)
    own = known.get(context.stack)
    stack_id = "" if own is None or isinstance(own, str) else state_of(context.stack, own).stack_id or ""
    mark = Marking(s3, place.endpoint, place.bucket, context.clock.sleep).read().mark
    if own is None or isinstance(own, str):
        named |= Named(troubles=("whose the bucket is cannot be told, because the stack's own state cannot be read",))
    elif not (whose := owner(mark, stack_id)).may_take:
        raise CommandError(refusal(place.bucket, place.endpoint, whose, mark))
    judged = judge(stored, references, named, context.clock.time(), least_days * DAY)
    found = unneeded(judged)
    total, left = (sum(one.size for one in stored), sum(one.stored.size for one in found))
    euros = storage_euros(total) - storage_euros(total - left) if HETZNER in place.endpoint else None
    return collector, Found(
        context.stack, place.bucket, judged, found, ("worktree", HEAD, *keep), named.troubles, euros
    )


def facts(found: Found) -> dict[str, Any]:
    """Return the findings as JSON has them. `euros_a_month` is null at a store whose price is not known."""
    return {
        "stack": found.stack,
        "bucket": found.bucket,
        "manifests_of": list(found.read),
        "unneeded": [
            {"key": one.stored.key, "kind": one.kind, "bytes": one.stored.size, "age_seconds": round(one.age)}
            for one in found.unneeded
        ],
        "bytes": found.bytes,
        "euros_a_month": found.euros,
        "young": found.young,
        "named": sum(one.stays == "named" for one in found.judged),
        "troubles": list(found.troubles),
    }


def described(found: Found, least_days: float, removed: int | None) -> list[str]:
    """Describe the findings for people. `removed`: how many objects went; None if none was to go."""
    lines = []
    if found.unneeded:
        cells = [
            (one.kind, one.stored.key, size(one.stored.size), since(one.age), _share(found, one))
            for one in found.unneeded
        ]
        lines += [*columns(TITLES, cells), ""]
    count = len(found.unneeded)
    what = f"{count} object{'s' * (count != 1)} of bucket {found.bucket}, {size(found.bytes)}"
    if removed is not None:
        stayed = f"; {count - removed} changed meanwhile and stayed" if removed != count else ""
        lines.append(f"Removed {removed} of {what}{stayed}.")
    else:
        lines.append(f"Nothing names {what}{_saving(found)}.")
    if found.young:
        lines.append(f"{found.young} more that nothing names stay, because they are younger than {least_days:g} days.")
    if count and removed is None:
        lines.append(
            f"Manifests were read of {', '.join(found.read)}. What only another branch names is in this list: --keep BRANCH "
            "spares it."
        )
    lines += [f"Nothing can be removed now: {trouble}." for trouble in found.troubles]
    if count and removed is None and not found.troubles:
        lines.append("`gpu-fleet store gc --remove` removes them.")
    return lines


def _saving(found: Found) -> str:
    return "" if found.euros is None else f"; without them the bucket costs EUR {found.euros:.2f} a month less"


def _share(found: Found, one: Judged) -> str:
    return "?" if found.euros is None else f"{storage_euros(one.stored.size, included=0):.4f}"
