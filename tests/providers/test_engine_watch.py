"""The engine is gone: noticed through a launcher that stays in between, by either of the two signs."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.engine_watch import EngineGone, EngineWatch, Process, WatchedClock

ROOT = Path(__file__).parents[2]
PROVIDER = """
import sys
from providers.engine_watch import EngineGone, EngineWatch, WatchedClock
clock = WatchedClock(EngineWatch.of_this_process())
print("waiting", flush=True)
try:
    clock.sleep(float(sys.argv[1]))
    print("undisturbed", flush=True)
except EngineGone:
    with clock.without_engine():
        clock.sleep(0.01)
    print("gone", flush=True)
"""
ENGINE = """
import subprocess, sys, time
subprocess.Popen(["sh", sys.argv[1], *sys.argv[2:]])
time.sleep(60)
"""


IDLE = """
import sys, time
from providers.engine_watch import EngineWatch, end_with_engine
busy_until = time.monotonic() + float(sys.argv[1])
end_with_engine(EngineWatch.of_this_process(), lambda: time.monotonic() < busy_until)
print("idle", flush=True)
time.sleep(60)
"""


def listening() -> socket.socket:
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    return server


def address_of(server: socket.socket) -> str:
    return f"127.0.0.1:{server.getsockname()[1]}"


@contextlib.contextmanager
def engine_with_a_launcher_in_between(tmp_path: Path, address: str) -> Iterator[subprocess.Popen[str]]:
    """An engine process called `pulumi` -> a shell that waits for its child -> the provider process."""
    (tmp_path / "provider.py").write_text(PROVIDER)
    (tmp_path / "engine.py").write_text(ENGINE)
    (tmp_path / "launcher.sh").write_text('"$1" -u "$2" 60 "$3"\necho "launcher: over"\n')
    pulumi = tmp_path / "pulumi"
    pulumi.symlink_to(Path(sys.executable).resolve())
    engine = subprocess.Popen(
        [pulumi, tmp_path / "engine.py", tmp_path / "launcher.sh", sys.executable, tmp_path / "provider.py", address],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHOME": sys.base_prefix},
        start_new_session=True,
    )
    assert engine.stdout is not None
    try:
        assert engine.stdout.readline() == "waiting\n"
        yield engine
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(engine.pid, signal.SIGKILL)
        engine.wait()
        engine.stdout.close()


def test_a_killed_engine_is_noticed_though_the_launcher_lives_on(tmp_path: Path) -> None:
    with listening() as still_answers, engine_with_a_launcher_in_between(tmp_path, address_of(still_answers)) as engine:
        engine.kill()

        assert engine.stdout is not None
        assert engine.stdout.readline() == "gone\n"
        assert engine.stdout.readline() == "launcher: over\n"


def test_an_address_that_refuses_twice_is_a_gone_engine(tmp_path: Path) -> None:
    server = listening()
    with engine_with_a_launcher_in_between(tmp_path, address_of(server)) as engine:
        server.close()

        assert engine.stdout is not None
        assert engine.stdout.readline() == "gone\n"
        assert engine.poll() is None


def test_an_engine_that_answers_disturbs_nobody() -> None:
    with listening() as server:
        watch = EngineWatch(address_of(server), (Process(os.getpid(), _started(os.getpid())),))

        WatchedClock(watch).sleep(1.2)

        assert not watch.gone()


def test_a_provider_process_ends_after_its_engine_once_it_is_idle() -> None:
    server = listening()
    words = [sys.executable, "-u", "-c", IDLE, "0.5", address_of(server)]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as idle:
        assert idle.stdout is not None
        assert idle.stdout.readline() == "idle\n"
        server.close()

        assert idle.wait(timeout=30) == 1


def test_one_refusal_is_not_enough() -> None:
    server = listening()
    watch = EngineWatch(address_of(server), ())
    server.close()

    assert not watch.gone()


def test_a_process_number_that_was_given_away_is_another_process() -> None:
    assert Process(os.getpid(), _started(os.getpid())).alive()
    assert not Process(os.getpid(), "1").alive()


def test_a_wait_that_began_before_ends_when_the_engine_goes() -> None:
    server = listening()
    clock = WatchedClock(EngineWatch(address_of(server), ()))
    threading.Timer(0.1, server.close).start()
    began = time.monotonic()

    with pytest.raises(EngineGone):
        clock.sleep(50)

    assert time.monotonic() - began < 25


def _started(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def test_an_engine_that_is_there_is_confirmed_at_once_and_one_that_went_is_missed() -> None:
    server = listening()
    clock = WatchedClock(EngineWatch(address_of(server), ()))
    clock.confirm()

    server.close()

    with pytest.raises(EngineGone):
        clock.confirm()
