"""The stack's record once everything is given back: `make down` leaves none, whatever was run before, and the page says how
somebody else comes to that."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from cli import sandbox_stack
from cli.down import go_down
from tests.doubles.cloud import REPO, Cloud
from tests.doubles.fleet_stack import stack_of_its_own
from tests.doubles.lines import Lines
from tests.doubles.processes import descendants
from tests.doubles.pulumi_stack import Engine, Stack
from tests.doubles.until import until

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.rotating(of=3)]


@pytest.fixture
def stack(cloud: Cloud, engine: Engine) -> Iterator[Stack]:
    with stack_of_its_own(cloud, engine, sandbox_stack.STACK) as made:
        made.write_config(cloud.stack_config())
        yield made


class Terminal(sandbox_stack.Shell):
    """The real engine, beside a sandbox that runs in this process."""

    def __init__(self, cloud: Cloud, stack: Stack) -> None:
        self.cloud, self.stack = cloud, stack

    def call(self, *words: str) -> None:
        if words[0] == "pulumi" and self.stack.call(*words[1:], check=False).status:
            raise subprocess.CalledProcessError(1, list(words))

    def leave_out_cluster(self) -> None:
        """These stacks have none."""

    def quiet(self, *words: str) -> None:
        self.call(*words)

    def engine(self, *words: str) -> None:
        self.call("pulumi", *words)

    def output(self, *words: str) -> str:
        if words == sandbox_stack.STATUS:
            return json.dumps({"market": self.cloud.sandbox.status()["market"]})
        return self.stack.call(*words[1:]).stdout


def assert_down(cloud: Cloud, stack: Stack) -> None:
    go_down(Terminal(cloud, stack))

    assert cloud.rented() == []
    assert sandbox_stack.STACK not in sandbox_stack.stacks(Terminal(cloud, stack))


@pytest.mark.parametrize("times", [1, 2])
def test_down_after_a_destroy_that_had_nothing_to_destroy(cloud: Cloud, stack: Stack, times: int) -> None:
    for _ in range(times):
        stack.destroy()

    assert_down(cloud, stack)


def test_a_record_that_a_second_destroy_filled_is_emptied_by_the_pages_command(cloud: Cloud, stack: Stack) -> None:
    stack.destroy()
    assert stack.resources(), "the engine makes providers anew: if it no longer does, the page need not say so"
    page = (REPO / "docs" / "operating.md").read_text()
    assert "pulumi destroy --run-program=false" in page

    stack.destroy("--run-program=false")

    assert stack.resources() == []


def test_down_after_an_update_that_was_killed_early(cloud: Cloud, stack: Stack) -> None:
    child = stack.start("up", "--stack", stack.name, "--yes", "--skip-preview")
    Lines(child).wait_for("chat-0  rent  ")
    plugins = descendants(child.pid)
    for process in [child.pid, *(plugin.pid for plugin in plugins)]:
        os.kill(process, signal.SIGKILL)
    until(lambda: not [plugin for plugin in plugins if plugin.alive()], "every plugin to end", 30)
    stack.call("cancel", stack.name, "--yes")
    assert stack.state()["pending_operations"]

    assert_down(cloud, stack)
