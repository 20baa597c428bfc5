"""`kill -9` of the real engine in the middle of a fleet's create: the market's books end empty, and nobody stays."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from typing import IO

import pytest

from tests.doubles.cloud import REPO, Cloud, running_cloud
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


class Lines:
    """Reads a process's output as it comes."""

    def __init__(self, child: "subprocess.Popen[str]") -> None:
        self._child = child
        self._text = ""
        self._arrived = threading.Condition()
        for pipe in (child.stdout, child.stderr):
            threading.Thread(target=self._read, args=(pipe,), daemon=True).start()

    def wait_for(self, text: str, seconds: float = 120) -> None:
        """Return once `text` was printed; fails with everything that was."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: text in self._text, seconds), self._text

    def _read(self, pipe: IO[str]) -> None:
        for line in pipe:
            with self._arrived:
                self._text += line
                self._arrived.notify_all()
