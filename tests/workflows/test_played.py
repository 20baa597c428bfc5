"""Each job of each workflow is played by act: what is called with which secrets, and what ends it.

The numbers in the names are those of complaints about other programs that post plans into pull requests.
"""

import json

import pytest

from tests.doubles.artifact_forge import TOKEN, Artifact, ArtifactForge
from tests.doubles.workflow_player import Player, workflows

STACKS_OWN = {"PULUMI_CONFIG_PASSPHRASE=the-passphrase", "PULUMI_ACCESS_TOKEN=the-access-token"}
STACKS_OWN |= {"AWS_SECRET_ACCESS_KEY=the-backend-key"}


def test_every_workflow_is_played() -> None:
    assert set(workflows()) == {"review", "apply", "drift", "test", "nightly"}
    assert {name: len(one["jobs"]) for name, one in workflows().items()} == dict.fromkeys(workflows(), 1)


def test_complaint_6_the_merge_is_reviewed_by_the_base_s_program_with_one_secret_of_ours(player: Player) -> None:
    player.told("gpu-fleet", '{"comment": "reviewed"}')

    run = player.play("review", "pull_request_target", player.opened())

    assert run.status == 0, run.said
    assert run.called == [
        "setup --parts venv",
        "gpu-fleet review --stack dev --base refs/review/merge^1 --head refs/review/merge --post github --json",
    ]
    assert run.heads == {player.base}, "the head is never checked out"
    assert run.seen() == {"VAST_REVIEW_KEY=market-key"}
    assert run.artifacts == {f"gpu-fleet-review-dev-{player.head}/review.json": '{"comment": "reviewed"}'}


def test_complaint_11_a_fork_gets_the_same_review(player: Player) -> None:
    event = player.opened()
    event["pull_request"]["head"]["repo"] = {"full_name": "somebody/fleet", "fork": True}

    run = player.play("review", "pull_request_target", event)

    assert run.status == 0, run.said
    assert run.called[-1].startswith("gpu-fleet review --stack dev")
    assert len(run.artifacts) == 1


def test_a_review_knows_what_runs_if_an_apply_has_told(player: Player, forge: ArtifactForge) -> None:
    path = ".github/workflows/apply.yml"
    forge.artifacts.append(Artifact("gpu-fleet-standing-dev", {"standing.json": b"{}"}, path, "push", "main"))

    run = player.play("review", "pull_request_target", player.opened())

    assert run.status == 0, run.said
    assert run.called[-1].split(" --standing ")[1] == "standing/standing.json --post github --json"


@pytest.mark.parametrize(("ends", "green"), [(0, True), (2, True), (1, False), (4, False), (64, False)])
def test_a_review_is_green_only_if_it_is_fine_or_warns_and_is_kept_in_any_case(
    player: Player, ends: int, green: bool
) -> None:
    player.told("gpu-fleet", "{}", ends)

    run = player.play("review", "pull_request_target", player.opened())

    assert (run.status == 0) == green
    assert len(run.artifacts) == 1


def test_a_head_that_moved_on_is_not_reviewed_under_the_old_name(player: Player) -> None:
    event = player.opened()
    event["pull_request"]["head"]["sha"] = "f" * 40

    run = player.play("review", "pull_request_target", event)

    assert run.status != 0
    assert run.called == []
    assert "has moved on" in run.said


def test_a_pull_request_that_conflicts_says_so(player: Player) -> None:
    event = player.opened()
    event["pull_request"]["number"] = 8

    run = player.play("review", "pull_request_target", event)

    assert run.status != 0
    assert "conflicts with its base" in run.said


def approve(player: Player, forge: ArtifactForge) -> None:
    pull = {"merged_at": "2026-11-30", "merge_commit_sha": player.merged, "head": {"sha": player.head}}
    forge.pulls[player.merged] = [pull]
    forge.artifacts.append(Artifact(f"gpu-fleet-review-dev-{player.head}", {"review.json": b"{}"}))


def pushed(player: Player) -> dict[str, str]:
    return {"ref": "refs/heads/main", "after": player.merged}


def test_an_apply_is_held_against_the_approved_review_and_tells_what_runs(player: Player, forge: ArtifactForge) -> None:
    approve(player, forge)

    run = player.play("apply", "push", pushed(player), player.merged)

    assert run.status == 0, run.said
    assert run.called[:2] == ["pulumi 3.259.0", "setup --parts venv,engine"]
    applied = run.called[2].split(" --summary ")[0]
    assert applied == "gpu-fleet apply --stack dev --reviewed approved/review.json --standing standing.json"
    assert run.seen() == STACKS_OWN
    assert run.artifacts == {"gpu-fleet-standing-dev/standing.json": "{}\n"}


def test_without_an_approved_review_nothing_is_installed_and_nothing_applied(player: Player) -> None:
    run = player.play("apply", "push", pushed(player))

    assert run.status != 0
    assert run.called == []
    assert "so nothing is applied" in run.said


def test_a_refused_apply_fails_and_still_tells_what_runs(player: Player, forge: ArtifactForge) -> None:
    approve(player, forge)
    player.told("gpu-fleet", ends=3)

    run = player.play("apply", "push", pushed(player), player.merged)

    assert run.status != 0
    assert run.artifacts == {"gpu-fleet-standing-dev/standing.json": "{}\n"}


@pytest.mark.parametrize("ends", [0, 7])
def test_drift_fails_the_run_and_its_table_is_told(player: Player, ends: int) -> None:
    player.told("gpu-fleet", "chat-0  status: the market stopped it\n", ends)

    run = player.play("drift", "schedule", {"ref": "refs/heads/main"})

    assert (run.status == 0) == (ends == 0), run.said
    assert run.called == ["pulumi 3.259.0", "setup --parts venv,engine", "gpu-fleet drift --stack dev"]
    assert run.seen() == STACKS_OWN
    assert "chat-0  status: the market stopped it" in run.said


def test_tests_of_a_pull_request_see_no_secret(player: Player) -> None:
    run = player.play("test", "pull_request", player.opened())

    assert run.status == 0, run.said
    assert [line.partition(" ")[0] for line in run.called] == ["apt-get", "apt-get", "make"]
    assert [*run.seen("make"), *run.seen("apt-get")] == []


def test_the_night_runs_every_test_and_keeps_the_table_even_of_a_failure(player: Player) -> None:
    player.told("make", ends=2)

    run = player.play("nightly", "schedule", {"ref": "refs/heads/main"})

    assert run.status != 0
    assert run.called[-1] == "make test-deep"
    assert run.artifacts == {"every-test/benchmarks.md": "# Benchmarks\n"}


def test_no_secret_is_said_in_any_of_them(player: Player, forge: ArtifactForge) -> None:
    approve(player, forge)
    events = {"review": "pull_request_target", "apply": "push", "drift": "schedule"}
    said = [player.play(name, event, player.opened()).said for name, event in events.items()]

    for value in ("market-key", "the-passphrase", "the-access-token", "the-backend-key", TOKEN):
        assert value not in json.dumps(said)
