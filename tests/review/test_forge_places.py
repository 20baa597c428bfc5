"""Which pull request a job works for, by the variables of GitHub and GitLab."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from review.comment.render import Comment
from review.forge.places import forge_of
from review.forge.sticky import ForgeError, publish
from tests.doubles.clock import FakeClock
from tests.doubles.forge import ForgeDouble, event, forge_double

MARKER = "<!-- gpu-fleet review dev -->"
FIRST = Comment(MARKER, f"{MARKER}\n### first\n", "")


@pytest.fixture
def server() -> Iterator[ForgeDouble]:
    with forge_double() as forge:
        yield forge


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_the_number_comes_from_the_events_file(server: ForgeDouble, clock: FakeClock, tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text(event(31))

    publish(forge_of("github", {**server.github(), "GITHUB_EVENT_PATH": str(file)}, clock), FIRST)

    assert server.bodies(31) == [FIRST.body]


@pytest.mark.parametrize("text", ["", "{}", "[]", event(0), '{"pull_request": {"number": "1/../2"}}'])
def test_an_event_without_a_pull_request_is_a_sentence(clock: FakeClock, tmp_path: Path, text: str) -> None:
    file = tmp_path / "event.json"
    file.write_text(text)
    environment = {"GITHUB_TOKEN": "x", "GITHUB_REPOSITORY": "org/fleet", "GITHUB_EVENT_PATH": str(file)}

    with pytest.raises(ForgeError, match="no pull request"):
        forge_of("github", environment, clock)


@pytest.mark.parametrize(
    ("name", "environment", "says"),
    [
        ("github", {}, "GITHUB_TOKEN is not set"),
        ("github", {"GITHUB_TOKEN": "x", "GITHUB_REPOSITORY": "a/b/../c"}, "names no repository"),
        ("gitlab", {"CI_JOB_TOKEN": "x"}, "CI_JOB_TOKEN does not help"),
        ("gitlab", {"GITLAB_TOKEN": "x", "CI_PROJECT_ID": "1"}, "no merge request"),
        ("gitlab", {"GITLAB_TOKEN": "x", "CI_PROJECT_ID": "../1", "CI_MERGE_REQUEST_IID": "1"}, "no merge request"),
        ("sourcehut", {}, "there is no forge 'sourcehut'"),
    ],
)
def test_a_job_that_lacks_something_is_told_what(
    clock: FakeClock, name: str, environment: dict[str, str], says: str
) -> None:
    with pytest.raises(ForgeError, match=says):
        forge_of(name, environment, clock)
