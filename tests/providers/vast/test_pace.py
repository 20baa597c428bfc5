"""Thresholds: turns are handed out in order to threads and processes alike."""

import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.vast.pace import INTERVALS, MARGIN_SECONDS, SharedPace
from tests.doubles.clock import FakeClock


def test_two_callers_are_one_interval_apart(tmp_path: Path) -> None:
    clock = FakeClock()

    for _ in range(3):
        SharedPace(tmp_path).wait("rent", clock)

    assert clock.now == pytest.approx(2 * (INTERVALS["rent"] + MARGIN_SECONDS))


def test_calls_of_another_kind_do_not_wait(tmp_path: Path) -> None:
    clock = FakeClock()
    SharedPace(tmp_path).wait("rent", clock)

    SharedPace(tmp_path).wait("show", clock)

    assert clock.now == 0


def test_a_faster_market_waits_less(tmp_path: Path) -> None:
    clock = FakeClock()

    for _ in range(2):
        SharedPace(tmp_path, time_scale=45).wait("rent", clock)

    assert clock.now == pytest.approx(INTERVALS["rent"] / 45 + MARGIN_SECONDS)


@given(st.text(max_size=30))
def test_a_damaged_store_costs_nothing(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pace = SharedPace(Path(folder))
        pace.wait("list", FakeClock())
        for file in Path(folder).iterdir():
            file.write_text(text)
        clock = FakeClock()
        pace.wait("list", clock)
        assert clock.now <= 200 * (INTERVALS["list"] + MARGIN_SECONDS)


def test_a_clock_that_was_set_back_does_not_stop_everything(tmp_path: Path) -> None:
    SharedPace(tmp_path).wait("list", FakeClock(start=2_000_000_000))
    clock = FakeClock(start=1_000_000_000)

    SharedPace(tmp_path).wait("list", clock)

    assert clock.now == 0


def test_processes_and_threads_share_the_turns(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.doubles.clock import FakeClock\n"
        "from providers.vast.pace import SharedPace\n"
        "clock = FakeClock()\n"
        "for _ in range(5): SharedPace(Path(sys.argv[1])).wait('list', clock); print(clock.now)\n"
    )
    turns: list[float] = []

    def run() -> None:
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[3],
        )
        turns.extend(float(line) for line in done.stdout.split())

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(turns)) == 15
    assert max(turns) == pytest.approx(14 * (INTERVALS["list"] + MARGIN_SECONDS))
