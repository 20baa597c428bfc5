"""What a workflow left is taken only from the run that may leave it, and the token stays with the forge's API."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.doubles.artifact_forge import REPOSITORY, TOKEN, Artifact, ArtifactForge, artifact_forge
from tools import artifacts, gitlab_artifacts

SHA, HEAD = "a" * 40, "b" * 40
REVIEW = Artifact(f"gpu-fleet-review-dev-{HEAD}", {"review.json": b'{"a": 1}', "other": b"x"})
STANDING = Artifact("gpu-fleet-standing-dev", {"standing.json": b"{}"}, ".github/workflows/apply.yml", "push", "main")


@pytest.fixture
def forge() -> Iterator[ArtifactForge]:
    with artifact_forge() as made:
        made.pulls[SHA] = [{"merged_at": "2026-11-30", "merge_commit_sha": SHA, "head": {"sha": HEAD}}]
        made.merge_requests[SHA] = [{"iid": 12, "state": "merged", "merge_commit_sha": SHA}]
        yield made
        assert made.leaked == []


def github(forge: ArtifactForge, folder: Path, *words: str) -> int:
    environ = {"GITHUB_API_URL": forge.url, "GITHUB_REPOSITORY": REPOSITORY, "GITHUB_SHA": SHA, "GH_TOKEN": TOKEN}
    return artifacts.main([*words, "dev", str(folder)], environ)


def gitlab(forge: ArtifactForge, folder: Path, *words: str) -> int:
    place = {"CI_API_V4_URL": forge.url, "CI_PROJECT_ID": "7", "CI_COMMIT_SHA": SHA, "CI_DEFAULT_BRANCH": "main"}
    return gitlab_artifacts.main([*words, str(folder)], {**place, "GITLAB_TOKEN": TOKEN})


def test_the_approved_review_of_the_merged_head_is_fetched(forge: ArtifactForge, tmp_path: Path) -> None:
    forge.artifacts += [REVIEW, replace(REVIEW, files={"review.json": b"old"}, created="2026-11-29T12:00:00Z")]

    assert github(forge, tmp_path / "approved", "approved") == 0
    assert [file.name for file in (tmp_path / "approved").iterdir()] == ["review.json"]
    assert (tmp_path / "approved" / "review.json").read_bytes() == b'{"a": 1}'


@pytest.mark.parametrize(
    "other",
    [
        {"path": ".github/workflows/mine.yml"},
        {"event": "pull_request"},
        {"event": "workflow_dispatch"},
        {"repository": "somebody/fleet"},
        {"expired": True},
        {"name": f"gpu-fleet-review-prod-{HEAD}"},
    ],
)
def test_what_another_run_uploaded_is_no_approval(
    forge: ArtifactForge, tmp_path: Path, other: dict, capsys: pytest.CaptureFixture[str]
) -> None:
    forge.artifacts.append(replace(REVIEW, **other))

    assert github(forge, tmp_path, "approved") == 3
    assert list(tmp_path.iterdir()) == []
    assert "so nothing is applied" in capsys.readouterr().out


def test_a_path_with_its_branch_behind_it_is_the_same_file(forge: ArtifactForge, tmp_path: Path) -> None:
    forge.artifacts.append(replace(REVIEW, path=".github/workflows/review.yml@refs/heads/main"))

    assert github(forge, tmp_path, "approved") == 0


def test_a_commit_without_a_pull_request_has_no_approval(forge: ArtifactForge, tmp_path: Path) -> None:
    forge.artifacts.append(REVIEW)
    for rows in ([], [{"merged_at": None, "merge_commit_sha": SHA, "head": {"sha": HEAD}}]):
        forge.pulls[SHA] = rows
        assert github(forge, tmp_path, "approved") == 3
    forge.pulls[SHA] = [{"merged_at": "2026-11-30", "merge_commit_sha": "c" * 40, "head": {"sha": HEAD}}]
    assert github(forge, tmp_path, "approved") == 3


def test_the_record_of_what_runs_comes_from_an_apply_on_main_or_not_at_all(
    forge: ArtifactForge, tmp_path: Path
) -> None:
    forge.artifacts += [replace(STANDING, branch="edit"), replace(STANDING, event="pull_request")]
    assert github(forge, tmp_path / "standing", "standing") == 0
    assert not (tmp_path / "standing").exists()

    forge.artifacts.append(STANDING)
    assert github(forge, tmp_path / "standing", "standing") == 0
    assert (tmp_path / "standing" / "standing.json").read_bytes() == b"{}"


def test_an_archive_that_is_none_or_too_large_is_an_error(
    forge: ArtifactForge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for broken in (
        replace(REVIEW, zipped=b"no archive"),
        replace(REVIEW, files={"other.json": b""}),
        replace(REVIEW, files={"review.json": b" " * 4_000_001}),
    ):
        forge.artifacts[:] = [broken]
        assert github(forge, tmp_path, "approved") == 1
        assert capsys.readouterr().out.startswith("::error::")
    assert list(tmp_path.iterdir()) == []


def test_a_forge_that_is_down_is_an_error_and_its_token_is_not_told(
    forge: ArtifactForge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forge.fails = 503
    assert github(forge, tmp_path, "approved") == 1
    assert gitlab(forge, tmp_path, "approved") == 1
    said = capsys.readouterr()
    assert "answers 503" in said.out
    assert "answers 503" in said.err
    assert TOKEN not in said.out + said.err


def test_wrong_words_are_told_apart(forge: ArtifactForge, tmp_path: Path) -> None:
    assert artifacts.main(["approved"], {}) == 64
    assert gitlab_artifacts.main(["steal", "x"], {}) == 64


def test_gitlab_has_the_review_of_the_merge_request_that_was_merged(forge: ArtifactForge, tmp_path: Path) -> None:
    forge.raw["/projects/7/jobs/artifacts/refs%2Fmerge-requests%2F12%2Fhead/raw/review.json?job=review"] = b'{"a": 1}'

    assert gitlab(forge, tmp_path / "approved", "approved") == 0
    assert (tmp_path / "approved" / "review.json").read_bytes() == b'{"a": 1}'

    forge.merge_requests[SHA] = [{"iid": 12, "state": "opened", "merge_commit_sha": SHA}]
    assert gitlab(forge, tmp_path / "none", "approved") == 3


def test_gitlab_may_have_no_record_of_what_runs_yet(forge: ArtifactForge, tmp_path: Path) -> None:
    assert gitlab(forge, tmp_path / "standing", "standing") == 0
    assert not (tmp_path / "standing").exists()

    forge.raw["/projects/7/jobs/artifacts/main/raw/standing.json?job=apply"] = b"{}"
    assert gitlab(forge, tmp_path / "standing", "standing") == 0
    assert (tmp_path / "standing" / "standing.json").read_bytes() == b"{}"
