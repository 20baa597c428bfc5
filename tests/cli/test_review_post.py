"""`gpu-fleet review --post`: the comment reaches the forge, and a review that nobody can read is not green."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import root
from tests.doubles.forge import BOT, Fault, ForgeDouble, event, forge_double
from tests.doubles.reviewed_repository import Repository

MARKER = "<!-- gpu-fleet review dev -->"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    found = Repository(tmp_path / "project")
    found.silence_market()
    monkeypatch.chdir(found.folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("VAST_REVIEW_KEY", "VAST_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    found.commit()
    return found


@pytest.fixture
def server() -> Iterator[ForgeDouble]:
    with forge_double() as forge:
        yield forge


def posted(server: ForgeDouble, tmp_path: Path, name: str) -> Result:
    file = tmp_path / "event.json"
    file.write_text(event(12))
    environment = {**server.github(), "GITHUB_EVENT_PATH": str(file)} if name == "github" else server.gitlab()
    return CliRunner().invoke(root, ["review", "--stack", "dev", "--post", name, "--json"], env=environment)


def edit(repository: Repository) -> None:
    repository.set("fleets.chat.vllmArguments", ["--seed", "1"])
    repository.write_config()


@pytest.mark.parametrize("name", ["github", "gitlab"])
def test_complaint_2_each_push_renews_one_comment(
    repository: Repository, server: ForgeDouble, tmp_path: Path, name: str
) -> None:
    edit(repository)
    first = posted(server, tmp_path, name)
    repository.set("fleets.chat.vllmArguments", ["--seed", "2"])
    repository.write_config()
    second = posted(server, tmp_path, name)

    assert first.exit_code == second.exit_code == 2, first.output
    assert server.bodies(12) == [json.loads(second.stdout)["comment"]]
    assert first.stderr == f"The comment on {name}: created.\n"
    assert second.stderr == f"The comment on {name}: updated.\n"


def test_complaint_3_an_edit_that_is_taken_back_leaves_a_short_comment_and_none_none(
    repository: Repository, server: ForgeDouble, tmp_path: Path
) -> None:
    assert posted(server, tmp_path, "github").stderr == "The comment on github: silent.\n"
    edit(repository)
    posted(server, tmp_path, "github")
    repository.set("fleets.chat.vllmArguments", [])
    repository.write_config()
    posted(server, tmp_path, "github")

    assert len(server.bodies(12)) == 1
    assert server.bodies(12)[0].startswith(f"{MARKER}\n### ✅ dev: nothing changes any more")


def test_complaint_11_a_review_that_no_forge_shows_is_printed_whole_and_is_not_green(
    repository: Repository, server: ForgeDouble, tmp_path: Path
) -> None:
    edit(repository)
    server.faults.append(Fault("GET", 403, message="Resource not accessible by integration"))
    found = posted(server, tmp_path, "github")

    assert found.exit_code == 4
    assert json.loads(found.stdout)["comment"].startswith(MARKER)
    assert "pull-requests: write" in found.stderr
    assert server.bodies(12) == []


def test_a_comment_of_somebody_else_with_our_marker_stays(
    repository: Repository, server: ForgeDouble, tmp_path: Path
) -> None:
    edit(repository)
    server.say(12, "ann", f"{MARKER}\nmine")
    posted(server, tmp_path, "github")

    assert server.bodies(12, "ann") == [f"{MARKER}\nmine"]
    assert len(server.bodies(12, BOT)) == 1
