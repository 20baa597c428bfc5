"""`make up` brings endpoints first if monitoring is not built yet, and does nothing twice if it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tools.up import bring_up, run

REPO = Path(__file__).resolve().parents[2]
SETUP, UP = "tools.setup --vllm real --monitoring", "tools.env -- gpu-fleet up --vllm real --monitoring"


class Calls:
    """Notes what is called; the command with the number `fails` ends with 3."""

    def __init__(self, fails: int = -1) -> None:
        self.fails = fails
        self.called: list[str] = []

    def __call__(self, words: Sequence[str]) -> int:
        self.called.append(" ".join(words))
        return 3 if len(self.called) - 1 == self.fails else 0


@pytest.mark.parametrize("watched", ["on", "off"])
def test_with_everything_built_there_is_one_set_up_and_one_update(watched: str) -> None:
    calls = Calls()

    assert bring_up("real", watched, False, calls) == 0
    assert calls.called == [f"{SETUP} {watched}", f"{UP} {watched}"]


def test_a_node_is_brought_first_because_the_sandbox_gets_it_when_it_starts() -> None:
    calls = Calls()

    assert bring_up("real", "on", True, calls, node=True) == 0
    node = "tools.setup --parts venv,node"
    assert calls.called == [
        node,
        f"{SETUP} off",
        f"{UP} later --kubernetes node",
        f"{SETUP} on",
        f"{UP} on --kubernetes node",
    ]
    failing = Calls(fails=0)
    assert bring_up("real", "on", True, failing, node=True) == 3
    assert failing.called == [node]


def test_endpoints_come_before_the_programs_of_monitoring_are_built() -> None:
    calls = Calls()

    assert bring_up("real", "on", True, calls) == 0
    assert calls.called == [f"{SETUP} off", f"{UP} later", f"{SETUP} on", f"{UP} on"]


@pytest.mark.parametrize(("fails", "serves"), [(0, False), (1, False), (2, True), (3, True)])
def test_the_first_failure_ends_it_and_endpoints_that_serve_are_named(
    fails: int, serves: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = Calls(fails)

    assert bring_up("real", "on", True, calls) == 3
    assert len(calls.called) == fails + 1
    assert ("the endpoints are as they were" in capsys.readouterr().err) is serves


def test_a_command_that_a_signal_ended_has_failed(tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")

    assert run(["ends"], tmp_path) == 1


INTERRUPTED = """
import sys
sys.path.insert(0, {repo!r})
from pathlib import Path
from tools import up
up.hand_on_interrupts()
sys.exit(up.run(["waits"], Path({folder!r})))
"""
WAITS = """
import time
try:
    print("waits", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("ended in good order", flush=True)
    raise SystemExit(5)
"""


def test_ctrl_c_is_the_commands_own_matter(tmp_path: Path) -> None:
    (tmp_path / "waits.py").write_text(WAITS)
    script = INTERRUPTED.format(repo=str(REPO), folder=str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waits\n"
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=30)

    assert (process.returncode, said) == (5, "ended in good order\n")
