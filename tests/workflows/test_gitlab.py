"""The lines of GitLab's jobs run: what they call with which secrets, and what ends them."""

from collections.abc import Mapping
from typing import Any

import pytest

from config.dialect import read_yaml
from tests.doubles.artifact_forge import TOKEN, ArtifactForge
from tests.doubles.workflow_player import REPO, Player

FILE = REPO / "ci/gitlab/review.gitlab-ci.yml"


def jobs() -> dict[str, dict[str, Any]]:
    """Return the jobs with what they extend."""
    found = read_yaml(FILE.read_text())
    return {
        name: {**found[one["extends"]], **one}
        for name, one in found.items()
        if isinstance(one, Mapping) and "stage" in one
    }


def variables(player: Player, commit: str) -> dict[str, str]:
    return {
        "CI_API_V4_URL": player.forge,
        "CI_PROJECT_ID": "7",
        "CI_PROJECT_URL": f"file://{player.root}/origin",
        "CI_SERVER_URL": "https://gitlab.example",
        "CI_JOB_TOKEN": "the-job-token",
        "CI_DEFAULT_BRANCH": "main",
        "CI_COMMIT_SHA": commit,
        "CI_MERGE_REQUEST_IID": "7",
        "GITLAB_TOKEN": TOKEN,
        "GPU_FLEET_REVIEW_MARKET_KEY": "market-key",
        "STACK": "dev",
    }


def test_there_are_three_jobs_and_no_runner_checks_out_a_merge_request() -> None:
    found = read_yaml(FILE.read_text())
    assert set(jobs()) == {"review", "apply", "drift"}
    assert found["variables"]["GIT_STRATEGY"] == "none"
    for name in ("apply", "drift"):
        assert jobs()[name]["interruptible"] is False
        assert jobs()[name]["resource_group"].endswith("$STACK")
        assert jobs()[name]["environment"]["name"].startswith("gpu-fleet-$STACK")
        assert all("$CI_DEFAULT_BRANCH" in rule["if"] for rule in jobs()[name]["rules"])


def test_a_review_runs_the_base_and_leaves_what_was_shown(player: Player) -> None:
    player.told("gpu-fleet", '{"comment": "reviewed"}', 2)

    run = player.script(jobs()["review"], variables(player, player.head))

    assert run.status == 0, run.said
    assert run.called == [
        "setup --parts venv",
        "gpu-fleet review --stack dev --base refs/review/merge^1 --head refs/review/merge --post gitlab --json",
    ]
    assert run.heads == {player.base}
    assert "VAST_REVIEW_KEY=market-key" in run.seen()
    assert (player.root / "builds" / "review.json").read_text() == '{"comment": "reviewed"}'
    assert "the-job-token" not in run.said


@pytest.mark.parametrize("ends", [1, 4])
def test_a_review_that_refuses_or_does_not_know_is_not_green(player: Player, ends: int) -> None:
    player.told("gpu-fleet", "{}", ends)

    assert player.script(jobs()["review"], variables(player, player.head)).status == ends
    assert (player.root / "builds" / "review.json").exists()


def test_a_merge_request_that_moved_on_is_not_reviewed(player: Player) -> None:
    run = player.script(jobs()["review"], variables(player, "f" * 40))

    assert run.status == 1
    assert run.called == []
    assert "moved on" in run.said


def test_an_apply_is_held_against_the_approved_review(player: Player, forge: ArtifactForge) -> None:
    forge.merge_requests[player.merged] = [{"iid": 7, "state": "merged", "merge_commit_sha": player.merged}]
    forge.raw["/projects/7/jobs/artifacts/refs%2Fmerge-requests%2F7%2Fhead/raw/review.json?job=review"] = b"{}"

    run = player.script(jobs()["apply"], variables(player, player.merged))

    assert run.status == 0, run.said
    assert run.called[0] == "setup --parts venv,engine"
    assert run.called[1] == "gpu-fleet apply --stack dev --reviewed approved/review.json --standing ../standing.json"
    assert run.heads == {player.merged}


def test_without_an_approved_review_nothing_is_applied(player: Player) -> None:
    run = player.script(jobs()["apply"], variables(player, player.merged))

    assert run.status == 3
    assert run.called == []


@pytest.mark.parametrize("ends", [0, 7])
def test_drift_fails_its_job(player: Player, ends: int) -> None:
    player.told("gpu-fleet", "chat-0  drift\n", ends)

    run = player.script(jobs()["drift"], variables(player, player.base))

    assert run.status == ends
    assert run.called == ["setup --parts venv,engine", "gpu-fleet drift --stack dev"]
