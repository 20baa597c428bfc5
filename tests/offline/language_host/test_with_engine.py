"""A plugin ends with its engine, however early that is killed; only what a call has reached goes on."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from offline.language_host import with_engine
from providers.engine_watch import Process
from tests.doubles.dynamic_process import DynamicProcess
from tests.doubles.renting_provider import RentingProvider
from tests.doubles.until import until

pytestmark = pytest.mark.service

REPO = Path(__file__).resolve().parents[3]
WITH_ENGINE = Path(with_engine.__file__)
PLUGINS = {
    "language host": (str(WITH_ENGINE.with_name("language_host.py")),),
    "stand-in": ("-m", "offline.kubernetes_plugin"),
    "dynamic providers": ("-m", "pulumi.dynamic"),
}
# The shell that starts the plugin ends first, as an engine does that is killed at once.
LATE = '(read -r go <"$FIFO"; exec "$@" >"$PORT") >/dev/null & echo $!'

Start = Callable[[str, str], Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a plugin by name for an engine at an address, once the process that started it has ended."""
    started: list[Process] = []

    def begin(plugin: str, engine: str) -> Process:
        fifo = tmp_path / f"fifo-{len(started)}"
        os.mkfifo(fifo)
        words = ["sh", "-c", LATE, "sh", sys.executable, "-u", str(WITH_ENGINE), *PLUGINS[plugin], engine]
        variables = {"FIFO": str(fifo), "PORT": str(tmp_path / "port"), "PYTHONPATH": str(REPO)}
        done = subprocess.run(words, env=os.environ | variables, stdout=subprocess.PIPE, text=True, check=True)
        child = done.stdout.strip()
        stat = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        started.append(Process(int(child), stat[19]))
        fifo.write_text("go\n")
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


@pytest.mark.parametrize("plugin", PLUGINS)
def test_an_engine_that_was_killed_while_its_plugin_started_takes_it_along(
    start: Start, engine: socket.socket, plugin: str
) -> None:
    gone = address(engine)
    engine.close()

    process = start(plugin, gone)

    until(lambda: not process.alive(), "the plugin to end")


def test_what_no_call_has_reached_ends_behind_a_launcher_that_lives_on(engine: socket.socket) -> None:
    with DynamicProcess(RentingProvider(), engine=address(engine), host=WITH_ENGINE) as process:
        engine.close()

        assert process.process.wait(60) == -signal.SIGTERM


def test_what_a_call_has_reached_gives_back_first(engine: socket.socket, tmp_path: Path) -> None:
    with DynamicProcess(RentingProvider(), engine=address(engine), host=WITH_ENGINE) as process:
        process.check({"folder": str(tmp_path)})
        engine.close()

        assert process.process.wait(60) == 1  # of its own: providers/engine_watch.py


def test_a_plugin_whose_engine_is_there_goes_on(start: Start, engine: socket.socket, tmp_path: Path) -> None:
    process = start("dynamic providers", address(engine))

    port = tmp_path / "port"
    until(lambda: port.exists() and port.read_text().strip().isdigit(), "the port")
    for _look in range(3):
        engine.accept()[0].close()

    assert process.alive()
