"""Open the budget of one instance's stack: terms from its settings, book and spend of its process."""

import os
import secrets
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path

from bootstrap.clock import SystemClock
from bootstrap.services import Progress
from providers.budget.book import PREFIX, ChosenBook, FileBook
from providers.budget.figures import Terms
from providers.budget.guard import Bounds, Budget, NoBudget, StackBudget
from providers.budget.reservations import Here
from providers.budget.spending import AskCharges, StackSpending
from providers.ledger.bucket_ledger import open_ledger
from providers.store.client import Keys, connect
from providers.store.shared_object import SharedObject
from providers.vast.api import label
from providers.vast.api.offer_claims import is_alive
from providers.vast.settings import BudgetSettings, InstanceSettings

READ_SECONDS = 5.0
EXPIRES = 2  # times the longest create
BucketAccess = tuple[str, str, str, Keys, SystemClock]  # of the bucket: endpoint, region, name, keys; and the clock


def open_budget(
    settings: InstanceSettings,
    place: BucketAccess,
    folder: Path | None,
    charges: AskCharges | None,
    report_progress: Progress,
) -> Budget:
    """Return the budget that holds for an instance; NoBudget if none is enforced. Sends nothing.

    `folder`: the account's folder, which all processes of this computer share. `charges` asks the market for its charges.
    """
    mark = label.parse(settings.label)
    if settings.budget is None or mark is None or folder is None:
        return NoBudget()
    limits, clock = settings.to_limits(), place[4]
    life = settings.self_destruct.max_hours if settings.self_destruct else None
    scale = settings.market.time_scale
    return StackBudget(
        mark.stack_id,
        partial(terms_of, settings.budget, bool(settings.main_stack), scale),
        open_book(place, mark.stack_id, folder),
        open_spending(place, mark.stack_id, scale),
        here_of(folder),
        clock,
        Bounds(life, EXPIRES * limits.total_seconds, limits.settle_seconds),
        charges=charges,
        report_progress=report_progress,
    )


def open_look(
    budget: BudgetSettings,
    stack_id: str,
    scale: float,
    place: BucketAccess,
    folder: Path,
    charges: AskCharges | None,
    settle_seconds: float = 90.0,
    is_slot: bool = False,
) -> StackBudget:
    """Return a stack's budget for reading. Sends nothing.

    Its terms are those of a person's update, or the controller's if `is_slot`.
    """
    return StackBudget(
        stack_id,
        partial(terms_of, budget, is_slot, scale),
        open_book(place, stack_id, folder),
        open_spending(place, stack_id, scale),
        here_of(folder),
        place[4],
        Bounds(settle_seconds=settle_seconds),
        charges=charges,
    )


def terms_of(budget: BudgetSettings, is_slot: bool, scale: float, is_shared: bool) -> Terms:
    """Return the terms of a renter.

    Without a shared book, people and controller have a part of the budget each, and each counts its own fleets.
    """
    usd = budget.by_period
    if is_shared or not budget.elastic:
        return Terms(usd, time_scale=scale)
    share = budget.controller_share if is_slot else 1 - budget.controller_share
    return Terms(usd, share, lambda name: (name.rpartition("-")[0] in budget.elastic) == is_slot, scale)


@lru_cache(maxsize=8)
def open_book(place: BucketAccess, stack_id: str, folder: Path) -> ChosenBook | FileBook:
    """Return the one book of this process for a stack. Without the store's keys it is a file of this computer."""
    endpoint, region, bucket, keys, clock = place
    file = folder / f"budget-{stack_id}.json"
    if not keys.access or not keys.secret:
        return FileBook(file)
    key = f"{PREFIX}{stack_id}.json"
    shared = SharedObject(lambda: connect(endpoint, region, keys, 2, READ_SECONDS), bucket, key)
    return ChosenBook(shared, f"s3://{bucket}/{key}", clock, file)


@lru_cache(maxsize=8)
def open_spending(place: BucketAccess, stack_id: str, scale: float) -> StackSpending:
    """Return the one count of this process for a stack."""
    endpoint, region, bucket, keys, clock = place
    return StackSpending(open_ledger(endpoint, region, bucket, keys, clock), stack_id, clock, scale)


@lru_cache(maxsize=8)
def here_of(folder: Path) -> Here:
    """Return this computer by a name that its processes share, as long as its temporary files live."""
    file, part = folder / "computer", folder / f"computer.{os.getpid()}.part"
    name = secrets.token_hex(8)
    with suppress(OSError):  # without the file, reservations of dead processes expire
        part.write_text(name)
        with suppress(FileExistsError):
            file.hardlink_to(part)  # whole or not at all, and the first one stays
        part.unlink(missing_ok=True)
        name = file.read_text()
    return Here(name, os.getpid(), is_alive)
