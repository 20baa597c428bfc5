"""Thresholds: turns are handed out in order to threads and processes alike."""

import itertools
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.vast.api.errors import RateLimited
from providers.vast.api.rate_limit import (
    BACK,
    INTERVALS,
    LONGEST_ROW,
    MARGIN_SECONDS,
    SHARED_SECONDS,
    WINDOWS,
    SharedRateLimit,
)
from sandbox.market.protocol.thresholds import Thresholds
from tests.doubles.clock import FakeClock
from tests.doubles.full_disk import full_disk


def take(pace: SharedRateLimit, call: str, clock: FakeClock, answered_after: float = 0) -> None:
    with pace.turn(call, clock):
        clock.sleep(answered_after)


def test_two_callers_are_one_interval_apart(tmp_path: Path) -> None:
    clock = FakeClock()

    for _ in range(3):
        take(SharedRateLimit(tmp_path), "rent", clock)

    assert clock.now == pytest.approx(2 * (INTERVALS["rent"] + MARGIN_SECONDS))


def test_a_late_answer_puts_off_the_next_caller(tmp_path: Path) -> None:
    clock = FakeClock()
    take(SharedRateLimit(tmp_path), "rent", clock, answered_after=1.5)

    take(SharedRateLimit(tmp_path), "rent", clock)

    assert clock.now == pytest.approx(1.5 + INTERVALS["rent"] + MARGIN_SECONDS)


def test_a_caller_that_left_later_than_its_turn_puts_off_the_next(tmp_path: Path) -> None:
    clock = FakeClock()
    (tmp_path / "turn-rent").write_text(f"{clock.time()} {clock.time() - 1}")

    take(SharedRateLimit(tmp_path), "rent", clock)

    assert clock.now == pytest.approx(INTERVALS["rent"] + MARGIN_SECONDS - 1)


def test_calls_of_another_kind_do_not_wait(tmp_path: Path) -> None:
    clock = FakeClock()
    take(SharedRateLimit(tmp_path), "rent", clock)

    take(SharedRateLimit(tmp_path), "show", clock)

    assert clock.now == 0


def test_a_faster_market_waits_less(tmp_path: Path) -> None:
    clock = FakeClock()

    for _ in range(2):
        take(SharedRateLimit(tmp_path, time_scale=45), "rent", clock)

    assert clock.now == pytest.approx(INTERVALS["rent"] / 45 + MARGIN_SECONDS)


@given(st.text(max_size=30))
def test_a_damaged_store_costs_nothing(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pace = SharedRateLimit(Path(folder))
        take(pace, "list", FakeClock())
        for file in Path(folder).iterdir():
            file.write_text(text)
        clock = FakeClock()
        take(pace, "list", clock)
        assert clock.now <= 200 * (INTERVALS["list"] + MARGIN_SECONDS)


def test_a_clock_that_was_set_back_does_not_stop_everything(tmp_path: Path) -> None:
    take(SharedRateLimit(tmp_path), "list", FakeClock(start=2_000_000_000))
    clock = FakeClock(start=1_000_000_000)

    take(SharedRateLimit(tmp_path), "list", clock)

    assert clock.now == 0


def test_processes_and_threads_share_the_turns(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.doubles.clock import FakeClock\n"
        "from providers.vast.api.rate_limit import SharedRateLimit\n"
        "clock, pace = FakeClock(), SharedRateLimit(Path(sys.argv[1]))\n"
        "for _ in range(5):\n"
        "    with pace.turn('list', clock): print(clock.now)\n"
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


MOST, WINDOW = WINDOWS["search"]


def test_searches_come_in_a_burst_and_then_wait_for_room(tmp_path: Path) -> None:
    clock = FakeClock()
    left = []

    for _ in range(2 * MOST + 1):
        take(SharedRateLimit(tmp_path), "search", clock)
        left.append(clock.now)

    assert left[:MOST] == [0.0] * MOST
    assert left[MOST : 2 * MOST] == pytest.approx([WINDOW + MARGIN_SECONDS] * MOST)
    assert left[-1] == pytest.approx(2 * (WINDOW + MARGIN_SECONDS))


def test_a_search_counts_from_its_answer(tmp_path: Path) -> None:
    clock = FakeClock()

    for _ in range(MOST + 1):
        take(SharedRateLimit(tmp_path), "search", clock, answered_after=1)

    assert clock.now - 1 >= 1 + WINDOW


@given(st.lists(st.floats(min_value=0, max_value=40), max_size=40), st.floats(min_value=1, max_value=60))
def test_the_market_never_refuses_searches_that_wait_their_turn(pauses: list[float], scale: float) -> None:
    clock = FakeClock()
    thresholds = Thresholds(scale, lambda: clock.now)
    with tempfile.TemporaryDirectory() as folder:
        for pause in pauses:
            clock.sleep(pause / scale)
            with SharedRateLimit(Path(folder), scale).turn("search", clock):
                assert thresholds.check("us", "search") is None


@given(st.text(max_size=30))
def test_a_damaged_window_costs_nothing(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "window-search").write_text(text, errors="replace")
        clock = FakeClock()
        take(SharedRateLimit(Path(folder)), "search", clock)
        assert clock.now == 0


def refused(pace: SharedRateLimit, call: str, clock: FakeClock, hint: float | None = None) -> None:
    with pytest.raises(RateLimited), pace.turn(call, clock):
        raise RateLimited(call, hint)


def test_a_long_row_of_calls_leaves_an_interval_free_for_other_computers(tmp_path: Path) -> None:
    clock, left = FakeClock(), list[float]()

    for _ in range(2 * LONGEST_ROW):
        take(SharedRateLimit(tmp_path), "rent", clock)
        left.append(clock.now)

    pauses = [later - sooner for sooner, later in itertools.pairwise(left)]
    usual = INTERVALS["rent"] + MARGIN_SECONDS
    assert sum(pause == pytest.approx(usual) for pause in pauses) == len(pauses) - 1
    assert max(pauses) == pytest.approx(2 * usual)


def test_calls_with_pauses_between_them_leave_nothing_more_free(tmp_path: Path) -> None:
    clock = FakeClock()

    for _ in range(2 * LONGEST_ROW):
        take(SharedRateLimit(tmp_path), "rent", clock)
        clock.sleep(2 * INTERVALS["rent"])

    assert clock.now == pytest.approx(2 * LONGEST_ROW * 2 * INTERVALS["rent"])


def test_who_was_refused_comes_back_within_an_interval_and_those_who_had_their_turn_after_two(tmp_path: Path) -> None:
    clock, pace = FakeClock(), SharedRateLimit(tmp_path)
    usual = INTERVALS["rent"] + MARGIN_SECONDS

    refused(pace, "rent", clock)
    with pace.turn("rent", clock, again=True):
        back = clock.now
    take(pace, "rent", clock)

    assert BACK[0] * usual <= back <= BACK[1] * usual
    assert clock.now - back == pytest.approx(2 * usual)


def test_a_hint_of_the_market_is_kept_to(tmp_path: Path) -> None:
    clock, pace = FakeClock(), SharedRateLimit(tmp_path)

    refused(pace, "rent", clock, hint=7)
    with pace.turn("rent", clock, again=True):
        assert 7 <= clock.now <= 7 + INTERVALS["rent"]


def test_an_account_that_is_shared_no_more_is_had_alone_again(tmp_path: Path) -> None:
    clock, pace = FakeClock(), SharedRateLimit(tmp_path)
    refused(pace, "rent", clock)
    clock.sleep(SHARED_SECONDS)

    take(pace, "rent", clock)
    before = clock.now
    take(pace, "rent", clock)

    assert clock.now - before == pytest.approx(INTERVALS["rent"] + MARGIN_SECONDS)


def test_a_shared_window_is_left_to_half(tmp_path: Path) -> None:
    clock, pace = FakeClock(), SharedRateLimit(tmp_path)
    refused(pace, "search", clock)
    clock.sleep(begin := WINDOW + 1)
    left = []

    for _ in range(MOST):
        take(pace, "search", clock)
        left.append(clock.now - begin)

    assert left[: MOST // 2] == pytest.approx([0.0] * (MOST // 2))
    assert left[MOST // 2 :] == pytest.approx([WINDOW + MARGIN_SECONDS] * (MOST // 2))


def test_what_an_older_version_left_is_read(tmp_path: Path) -> None:
    clock = FakeClock()
    (tmp_path / "turn-rent").write_text(f"{clock.time() + 3} {clock.time()}")

    take(SharedRateLimit(tmp_path), "rent", clock)

    assert clock.now == pytest.approx(INTERVALS["rent"] + MARGIN_SECONDS)


@pytest.mark.parametrize(("call", "interval"), [("list", INTERVALS["list"]), ("search", WINDOW / MOST)])
@pytest.mark.parametrize("gone", [False, True], ids=["full", "no folder"])
def test_where_no_turn_can_be_kept_each_call_waits_one_interval(
    tmp_path: Path, call: str, interval: float, gone: bool
) -> None:
    clock, pace = FakeClock(), SharedRateLimit(tmp_path / "gone" if gone else tmp_path)

    with full_disk():
        for _ in range(3):
            take(pace, call, clock)

    assert clock.now == pytest.approx(3 * interval, abs=0.1)
