"""A provider process that was never called, and whose engine is gone, is ended by the next one in the same folder."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from providers.engine_watch import Process
from providers.orphans import end_orphans
from tests.doubles.dynamic_process import ROOT
from tests.doubles.until import until

Start = Callable[[str], Process]

# The launcher's parent ends at once, as a killed engine does.
LAUNCH = '("$0" -u -m pulumi.dynamic "$1" >"$2"; true) >/dev/null & echo $!'

CALLED = f"""
import sys, time
sys.path.append({str(ROOT)!r})
from providers.orphans import mark_as_called
mark_as_called()
print(1, flush=True)
time.sleep(600)
"""


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start a provider process of this test's own folder for an engine at an address; nobody is above its launcher."""
    monkeypatch.chdir(tmp_path)
    started: list[Process] = []

    def begin(engine: str) -> Process:
        port = tmp_path / f"port-{len(started)}"
        words = ["sh", "-c", LAUNCH, sys.executable, engine, str(port)]
        launcher = subprocess.check_output(words, text=True, stderr=subprocess.DEVNULL).strip()
        until(lambda: port.exists() and port.read_text().strip().isdigit(), "the port")
        (child,) = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
        started.append(Process(int(child), Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[19]))
        return started[-1]

    yield begin
    for process in started:
        if process.alive():
            os.kill(process.pid, signal.SIGKILL)


@pytest.fixture
def engine() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def address(engine: socket.socket) -> str:
    return f"127.0.0.1:{engine.getsockname()[1]}"


def gone() -> str:
    """The address of an engine that was there once."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return address(listening)


def test_one_whose_engine_is_gone_is_ended_and_one_whose_engine_answers_is_not(
    start: Start, engine: socket.socket
) -> None:
    alive, orphan = start(address(engine)), start(gone())

    assert end_orphans() == [orphan.pid]
    until(lambda: not orphan.alive(), "the orphan to end")
    assert alive.alive()


def test_another_folder_is_none_of_our_business(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orphan = start(gone())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert end_orphans() == []
    assert orphan.alive()


def test_what_was_called_once_is_left_to_itself(start: Start, tmp_path: Path) -> None:
    stand_in = tmp_path / "pulumi" / "dynamic"
    stand_in.mkdir(parents=True)
    for package in (stand_in.parent, stand_in):
        (package / "__init__.py").touch()
    (stand_in / "__main__.py").write_text(CALLED)
    called = start(gone())

    assert end_orphans() == []
    assert called.alive()
