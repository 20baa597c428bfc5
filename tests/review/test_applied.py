"""State, and not the base branch, says with which settings an instance was made."""

from collections.abc import Callable

import pytest

from review.report import Action
from review.revision import read_revision
from review.standing import Standing, recorded_of
from review.tree import open_tree
from review.verdicts import Judge
from tests.doubles.reviewed_repository import SCRIPT, SECURE, STACK, Repository
from tests.doubles.reviewing import STANDING, actions, judged


def recorded_standing(repository: Repository, commit: str) -> Standing:
    """Return what stands once a commit was applied."""
    known = read_revision(open_tree(commit, repository.folder), STACK)
    rows = [
        one.model_copy(update={"recorded": recorded_of(known.settings(one.fleet, one.name, 0))})
        for one in STANDING.instances
    ]
    rotation = known.config.rotation.model_dump()
    return STANDING.model_copy(update={"instances": tuple(rows), "kit": known.kit.digest, "rotation": rotation})


Edit = Callable[[Repository], None]


@pytest.mark.parametrize(
    ("edit", "action"),
    [
        (lambda one: one.set("fleets.chat.gpu.name", "RTX 3090"), "another machine"),
        (lambda one: one.set("fleets.chat.vllmArguments", ["--seed", "1"]), "in place"),
        (lambda one: one.set("fleets.chat.idleMinutes", 9), "in place"),
        (lambda one: one.set("rotation.tokens", 4), "in place"),
        (lambda one: one.set("rotation.certificates", 4), "in place"),
        (lambda one: one.write(SCRIPT, "exit 3\n", executable=True), "in place"),
        (lambda one: one.set("fleets.chat.diskGb", 90), "another machine"),
        (lambda one: one.set("fleets.chat.image", "vllm/vllm-openai:v9"), "another machine"),
        (lambda one: one.set("limits", {"attempts": 9}), "recorded"),
        (lambda one: one.set("market.url", "https://market.example"), "another machine"),
    ],
)
def test_what_the_base_branch_has_not_applied_yet_is_told_and_what_the_head_takes_back_is_not(
    edit: Edit, action: str, repository: Repository
) -> None:
    """State is of `first`; the base branch is `second`, which is not applied."""
    first = repository.commit()
    standing = recorded_standing(repository, first)
    assert set(actions(judged(repository, first, standing)).values()) == {"unchanged"}
    edit(repository)
    second = repository.commit()
    repository.write("docs.md", "nothing of config\n")
    assert actions(judged(repository, second, standing))["chat-0"] == action

    old = read_revision(open_tree(first, repository.folder), STACK)
    back = Judge(read_revision(open_tree(second, repository.folder), STACK), old, standing).instances()
    assert {one.action for one in back} == {Action.UNCHANGED}


def test_a_computer_that_applies_without_the_shipper_of_metrics_changes_nothing_by_that(repository: Repository) -> None:
    """The program leaves `metrics` out of the inputs where vmagent is not on PATH."""
    repository.set("metrics", {"url": "https://metrics.example"})
    repository.set("metricsKey", SECURE)
    base = repository.commit()
    known = read_revision(open_tree(base, repository.folder), STACK)
    rows = [
        one.model_copy(update={"recorded": recorded_of(known.settings(one.fleet, one.name, 0, reports=False))})
        for one in STANDING.instances
    ]
    standing = STANDING.model_copy(update={"instances": tuple(rows)})
    assert set(actions(judged(repository, base, standing)).values()) == {"unchanged"}

    repository.set("metrics", None)
    without = repository.commit()
    repository.set("metrics", {"url": "https://metrics.example"})
    assert actions(judged(repository, without, standing))["chat-0"] == "in place"
