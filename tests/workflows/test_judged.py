"""Workflows are judged as GitHub and GitLab read them, by tools that need no network; and the rules that no tool has."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.workflow_player import REPO, USES, workflows

FOLDER = REPO / ".github/workflows"
GITLAB = REPO / "ci/gitlab/review.gitlab-ci.yml"
BIN = REPO / ".venv/bin"
DANGEROUS = """on: pull_request_target
jobs:
  build:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v4
        with: {ref: "${{ github.event.pull_request.head.sha }}"}
      - run: echo ${{ github.event.pull_request.title }}
"""


def ends(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    environ = {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/nonexistent"}
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, env=environ, cwd=REPO)


def zizmor(*files: Path) -> "subprocess.CompletedProcess[str]":
    return ends(BIN / "zizmor", "--offline", "--no-progress", "--format", "json", *files)


def test_actionlint_finds_nothing_and_would_find_something(actionlint: Path, tmp_path: Path) -> None:
    done = ends(actionlint, "-no-color", "-shellcheck=", *sorted(FOLDER.glob("*.yml")))
    assert (done.returncode, done.stdout) == (0, "")
    (tmp_path / "bad.yml").write_text("on: push\njobs: {a: {runs-on: ubuntu-24.04, steps: [{run: x, use: y}]}}\n")
    assert "unexpected key" in ends(actionlint, "-no-color", tmp_path / "bad.yml").stdout


def test_zizmor_finds_nothing_and_would_find_something(tmp_path: Path) -> None:
    done = zizmor(FOLDER)
    assert (done.returncode, json.loads(done.stdout)) == (0, []), done.stdout + done.stderr
    (tmp_path / "bad.yml").write_text(DANGEROUS)
    found = {row["ident"] for row in json.loads(zizmor(tmp_path / "bad.yml").stdout)}
    assert {"dangerous-triggers", "template-injection", "unpinned-uses"} <= found


@pytest.mark.parametrize(
    ("schema", "files", "options"),
    [
        ("vendor.github-workflows", sorted(FOLDER.glob("*.yml")), ()),
        ("vendor.gitlab-ci", [GITLAB], ("--data-transform", "gitlab-ci")),
    ],
)
def test_each_file_is_of_its_schema(schema: str, files: list[Path], options: tuple[str, ...], tmp_path: Path) -> None:
    check: list[str | Path] = [BIN / "check-jsonschema", "--builtin-schema", schema, *options]
    assert ends(*check, *files).returncode == 0
    (tmp_path / "bad.yml").write_text("jobs: 7\nstages: 7\n")
    assert ends(*check, tmp_path / "bad.yml").returncode == 1


def test_actions_are_pinned_by_commit_with_their_version() -> None:
    for file in FOLDER.glob("*.yml"):
        text = file.read_text()
        assert len(re.findall(r"\buses:", text)) == len(USES.findall(text)), file.name


def test_an_action_has_one_commit_in_all_workflows() -> None:
    found: dict[str, set[tuple[str, str]]] = {}
    for file in FOLDER.glob("*.yml"):
        for name, commit, version in USES.findall(file.read_text()):
            found.setdefault(name, set()).add((commit, version))
    assert found
    assert {name: len(pins) for name, pins in found.items()} == dict.fromkeys(found, 1)


def test_images_are_pinned_by_digest_but_for_one_that_the_page_names() -> None:
    files = [*FOLDER.glob("*.yml"), GITLAB]
    images = {found for file in files for found in re.findall(r"^ *image: (\S+)$", file.read_text(), re.MULTILINE)}
    loose = {one for one in images if not re.search(r"@sha256:[0-9a-f]{64}$", one)}

    assert len(images) == 3
    assert loose == {"pulumi/pulumi-python:3.259.0"}
    assert all(one in (REPO / "docs" / "review.md").read_text() for one in loose)


WRITES = {"review": {"pull-requests"}}


@pytest.mark.parametrize("name", sorted(workflows()))
def test_a_workflow_may_do_little_and_each_job_says_what(name: str) -> None:
    one = workflows()[name]
    assert one["permissions"] == {}
    for job in one["jobs"].values():
        assert job["permissions"]["contents"] == "read"
        assert {key for key, may in job["permissions"].items() if may != "read"} == WRITES.get(name, set())
        assert job["concurrency"]["cancel-in-progress"] is False
        assert job["timeout-minutes"] <= 350
        for step in job["steps"]:
            if str(step.get("uses")).startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
                assert "ref" not in step["with"]


def secrets_of(value: Any) -> set[str]:
    return set(re.findall(r"secrets\.(\w+)", json.dumps(value)))


def test_only_jobs_in_an_environment_have_a_secret_of_the_stack() -> None:
    assert {name: secrets_of(one) for name, one in workflows().items() if name in ("review", "test", "nightly")} == {
        "review": {"GPU_FLEET_REVIEW_MARKET_KEY"},
        "test": set(),
        "nightly": set(),
    }
    for name in ("apply", "drift"):
        (job,) = workflows()[name]["jobs"].values()
        assert str(job["environment"]).startswith("gpu-fleet-${{ matrix.stack }}")
        assert len(secrets_of(job)) == 4


def test_complaint_7_a_review_takes_no_lock_because_it_calls_no_engine() -> None:
    text = json.dumps(workflows()["review"]["jobs"])
    assert "--parts venv" in text
    assert [word for word in ("pulumi", "PULUMI", "engine", "tools.env") if word in text] == []


def test_complaint_9_no_artifact_holds_a_plan() -> None:
    kept = {
        (name, step["with"]["path"])
        for name, one in workflows().items()
        for job in one["jobs"].values()
        for step in job["steps"]
        if str(step.get("uses")).startswith("actions/upload-artifact@")
    }
    assert kept == {("review", "review.json"), ("apply", "standing.json"), ("nightly", "docs/benchmarks.md")}


def test_what_a_pull_request_says_reaches_no_shell_line() -> None:
    """Expressions stand in `env` alone, so that a title or a branch is a value, never a word of a command."""
    for name, one in workflows().items():
        for job in one["jobs"].values():
            assert [step["run"] for step in job["steps"] if "${{" in str(step.get("run"))] == [], name


def test_the_review_waits_for_no_other_stack_and_an_apply_for_its_own() -> None:
    groups = {name: next(iter(one["jobs"].values()))["concurrency"]["group"] for name, one in workflows().items()}
    assert groups["apply"] == "apply-${{ matrix.stack }}"
    assert "pull_request.number" in groups["review"]
    assert len(set(groups.values())) == len(groups)
