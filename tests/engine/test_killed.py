"""`kill -9` of the real engine in the middle of a fleet's create: the market's books end empty, and nobody stays."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.doubles.cloud import REPO, Cloud, running_cloud
from tests.doubles.lines import Lines
from tests.doubles.processes import descendants, wait_until
from tools.stack import Engine

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.xdist_group("killed")]

LAST_PHASES = ("search", "rent", "connect", "fetch weights", "start")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.mark.parametrize("phase", LAST_PHASES)
def test_everything_is_given_back_after(cloud: Cloud, engine: Engine, phase: str) -> None:
    stack = engine.stack(REPO)
    stack.write_config(cloud.stack_config(replicas=2))
    child = stack.start("up", "--stack", stack.name, "--yes", "--skip-preview")
    seen = Lines(child)
    seen.wait_for(f"chat-0  {phase}  ")

    plugins = descendants(child.pid)
    os.kill(child.pid, signal.SIGKILL)

    wait_until(lambda: not [process for process in plugins if process.alive()], "every plugin to end", 90)
    assert cloud.rented() == []
    stack.call("cancel", "--yes", "--stack", stack.name)
    stack.up()
    assert len(cloud.rented()) == 2
    stack.destroy()
    assert cloud.rented() == []
