"""Commands of Pulumi as children of the controller: none outlives it, and at an orderly end each is asked to stop first."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from controller.world.children import Children
from tests.doubles.until import until

PATIENCE = 20.0


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A `pulumi` that says its number, and waits; `stop` ends by SIGTERM with its last word, `deaf` does not."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = """#!/bin/sh
[ "$2" = deaf ] && trap '' TERM || trap 'echo stopped; exit 7' TERM
[ "$2" = fast ] && { echo out; echo complaint >&2; exit 3; }
echo $$
while :; do sleep 0.05; done
"""
    (folder / "pulumi").write_text(script)
    (folder / "pulumi").chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def runs(pid: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text().lower().split("state:")[1][:20]
    except OSError:
        return False


def begin(
    children: Children, word: str, folder: Path, environment: dict[str, str]
) -> tuple[threading.Thread, list[str], list[int]]:
    lines: list[str] = []
    status: list[int] = []

    def run() -> None:
        status.append(children.run([word], folder, environment, lines.append).status)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert until(lambda: bool(lines))
    return thread, lines, status


def test_a_command_tells_its_lines_its_complaints_and_its_end(tmp_path: Path, environment: dict[str, str]) -> None:
    lines: list[str] = []

    done = Children().run(["fast"], tmp_path, environment, lines.append)

    assert (done.status, done.stdout, done.stderr, lines) == (3, "out\n", "complaint\n", ["out\n"])


def test_a_pulumi_that_is_missing_is_said(tmp_path: Path) -> None:
    done = Children().run(["up"], tmp_path, {"PATH": "/nowhere"}, lambda _line: None)

    assert done.status != 0


def test_at_the_end_each_is_asked_to_stop_and_the_deaf_are_killed(tmp_path: Path, environment: dict[str, str]) -> None:
    children = Children()
    gentle, said, status = begin(children, "stop", tmp_path, environment)
    deaf, number, killed = begin(children, "deaf", tmp_path, environment)

    children.end(0.5)

    gentle.join(PATIENCE)
    deaf.join(PATIENCE)
    assert (status, said[-1]) == ([7], "stopped\n")
    assert killed == [-signal.SIGKILL]
    assert not runs(int(number[0]))
    assert children.run(["fast"], tmp_path, environment, lambda _line: None).status == 130


def test_none_outlives_a_controller_that_is_killed(tmp_path: Path, environment: dict[str, str]) -> None:
    program = (
        "import sys, pathlib\n"
        "from controller.world.children import Children\n"
        f"Children().run(['stop'], pathlib.Path({str(tmp_path)!r}), {environment!r}, lambda line: print(line, flush=True))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert runs(child)

    os.kill(parent.pid, signal.SIGKILL)
    parent.wait(PATIENCE)
    parent.stdout.close()

    assert until(lambda: not runs(child))
