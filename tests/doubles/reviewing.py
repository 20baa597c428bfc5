"""What a stack runs, and the verdicts of edits against it, as tests of a review hand them in."""

from dataclasses import replace
from typing import Any

from review.prospects import Look
from review.report import InstanceReview, Review
from review.reviewing import Asked, base_of, review
from review.revision import read_revision
from review.standing import Standing, StandingInstance
from review.tree import open_tree
from review.verdicts import Judge
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer
from tests.doubles.reviewed_repository import STACK, Repository

AT = 5_000.0  # the moment of a review, in unix seconds
PHASES = {"wait": 200.0, "fetch weights": 60.0, "start": 40.0, "probe": 2.0}
Reviewed = dict[str, InstanceReview]


def instance(name: str, **facts: Any) -> StandingInstance:
    """Return an instance that serves."""
    known = {"gpu_name": "RTX 4090", "gpu_count": 1, "disk_gb": 60.0, "country": "DE", "usd_per_hour": 0.34}
    plain = {"name": name, "fleet": name.rpartition("-")[0], "instance_id": 7, "phases": PHASES}
    return StandingInstance.model_validate({**plain, **known, **facts})


STANDING = Standing(
    stack=STACK,
    at=1_000.0,
    instances=(instance("chat-0", disk_gb=18.0), instance("chat-1", disk_gb=18.0), instance("batch-0")),
)


def judged(repository: Repository, base: str | None, standing: Standing | None = STANDING) -> Reviewed:
    """Judge what the repository's files say now against a commit."""
    repository.write_config()
    old = read_revision(open_tree(base, repository.folder), STACK) if base else None
    new = read_revision(open_tree("worktree", repository.folder), STACK)
    return {one.name: one for one in Judge(old, new, standing).instances()}


def actions(found: Reviewed) -> dict[str, str]:
    return {name: one.action.value for name, one in found.items()}


def keys(one: InstanceReview) -> list[str]:
    return [cause.key for cause in one.because]


def market() -> FakeMarket:
    """Return a market with eight offers."""
    return FakeMarket(FakeClock(), [offer(number) for number in range(1, 9)])


def reviewed(
    repository: Repository, base: str, standing: Standing | None = STANDING, look: Look | None = None, **asked: Any
) -> Review:
    """Review the files on the disk against a commit."""
    tree = open_tree(base, repository.folder)
    old, notes = base_of(tree, STACK)
    wanted = Asked(STACK, tree, open_tree("worktree", repository.folder), AT, standing)
    return review(replace(wanted, **asked), old, look or Look(market()), notes)
