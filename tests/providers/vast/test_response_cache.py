"""Shared answers: one question for several at once, across threads and processes; private, and as fresh as asked for."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bootstrap.clock import SystemClock
from providers.vast.api.account_directory import account_directory
from providers.vast.api.errors import RateLimited, SettingsInvalid
from providers.vast.api.response_cache import ResponseCache, Rows
from tests.doubles.clock import FakeClock
from tests.doubles.full_disk import full_disk


class Shop:
    """Counts how often it is asked, and answers with the count."""

    def __init__(self, clock: FakeClock | SystemClock) -> None:
        self.clock = clock
        self.asked = 0

    def ask(self) -> tuple[float, Rows]:
        self.asked += 1
        return self.clock.monotonic(), [{"n": self.asked}]


def test_an_answer_is_used_as_long_as_it_is_fresh_enough(tmp_path: Path) -> None:
    clock = FakeClock()
    shared, shop = ResponseCache(tmp_path), Shop(clock)

    shared.get("q", clock.now, shop.ask, clock)
    clock.sleep(10)
    assert shared.get("q", clock.now - 10, shop.ask, clock) == [{"n": 1}]
    assert shared.get("q", clock.now - 9, shop.ask, clock) == [{"n": 2}]
    assert shared.get("other", clock.now - 9, shop.ask, clock) == [{"n": 3}]


def test_an_answer_that_took_long_is_as_old_as_its_end_for_whom_an_older_one_will_do(tmp_path: Path) -> None:
    clock = FakeClock()
    shared, shop = ResponseCache(tmp_path), Shop(clock)

    def slowly() -> tuple[float, Rows]:
        asked, rows = shop.ask()
        clock.sleep(8)
        return asked, rows

    shared.get("q", clock.now, slowly, clock)
    clock.sleep(3)

    assert shared.get("q", clock.now, slowly, clock, age_seconds=5) == [{"n": 1}]
    assert shared.get("q", clock.now - 5, slowly, clock) == [{"n": 2}]  # it would have to be asked by then


def test_what_is_forgotten_is_asked_for_anew(tmp_path: Path) -> None:
    clock = FakeClock()
    shared, shop = ResponseCache(tmp_path), Shop(clock)
    shared.get("q", 0, shop.ask, clock)

    shared.forget("q")

    assert shared.last("q", 0, clock) is None
    assert shared.get("q", 0, shop.ask, clock) == [{"n": 2}]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"asked": 1e9, "rows": []}', '{"asked": 0, "rows": 3}'])
def test_a_damaged_answer_or_one_of_another_boot_is_none(tmp_path: Path, text: str) -> None:
    clock = FakeClock()
    shared, shop = ResponseCache(tmp_path), Shop(clock)
    shared.get("q", 0, shop.ask, clock)
    (file,) = tmp_path.glob("*.json")
    file.write_text(text)

    assert shared.get("q", 0, shop.ask, clock) == [{"n": 2}]


def test_a_failure_is_not_shared_and_blocks_nobody(tmp_path: Path) -> None:
    clock = FakeClock()
    shared, shop = ResponseCache(tmp_path), Shop(clock)

    def fail() -> tuple[float, Rows]:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        shared.get("q", 0, fail, clock)

    assert shared.get("q", 0, shop.ask, clock) == [{"n": 1}]


@pytest.mark.parametrize("gone", [False, True], ids=["full", "no folder"])
def test_an_answer_that_cannot_be_written_down_is_used_all_the_same(tmp_path: Path, gone: bool) -> None:
    clock = FakeClock()
    shared, shop = ResponseCache(tmp_path / "gone" if gone else tmp_path), Shop(clock)

    def refuse() -> tuple[float, Rows]:
        raise RateLimited("list")

    with full_disk():
        assert shared.get("q", 0, shop.ask, clock) == [{"n": 1}]
        assert shared.get("q", 0, shop.ask, clock) == [{"n": 2}]
        shared.forget("q")
        with pytest.raises(RateLimited):
            shared.get("other", 0, refuse, clock)


def test_of_several_at_once_one_asks(tmp_path: Path) -> None:
    clock, begun, go = SystemClock(), threading.Event(), threading.Event()
    shared, shop = ResponseCache(tmp_path), Shop(clock)
    since = clock.monotonic()

    def slowly() -> tuple[float, Rows]:
        begun.set()
        assert go.wait(10)
        return shop.ask()

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(shared.get, "q", since, slowly, clock)
        assert begun.wait(10)
        others = [pool.submit(shared.get, "q", since, slowly, clock) for _ in range(3)]
        go.set()
        assert [future.result(10) for future in (first, *others)] == [[{"n": 1}]] * 4


def test_processes_share_and_one_that_dies_while_it_asks_blocks_nobody(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from bootstrap.clock import SystemClock\n"
        "from providers.vast.api.response_cache import ResponseCache\n"
        "def ask():\n"
        "    if sys.argv[2] == 'die': os.kill(os.getpid(), 9)\n"
        "    return SystemClock().monotonic(), [{'pid': os.getpid()}]\n"
        "print(ResponseCache(Path(sys.argv[1])).get('q', 0.0, ask, SystemClock())[0]['pid'])\n"
    )

    def run(how: str) -> str:
        words = [sys.executable, "-c", program, str(tmp_path), how]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60).stdout.strip()

    assert run("die") == ""
    first = run("live")
    assert first
    assert run("live") == first


def test_accounts_meet_in_places_of_their_own(tmp_path: Path) -> None:
    base = tmp_path / "meeting"

    places = {account_directory(url, key, base) for url in ("http://a", "http://b") for key in ("k", "l")}

    assert len(places) == 4
    assert not [place for place in places if place.stat().st_mode & 0o077]
    assert "http" not in str(places)


@pytest.mark.parametrize("trouble", ["writable", "link", "owner"])
def test_a_place_that_somebody_else_may_write_to_is_refused(tmp_path: Path, trouble: str) -> None:
    base = tmp_path / "meeting"
    if trouble == "link":
        base.symlink_to(tmp_path)
    else:
        base.mkdir(mode=0o700)
    if trouble == "writable":
        base.chmod(0o777)
    if trouble == "owner":
        if os.getuid():
            pytest.skip("only root gives files away")
        os.chown(base, 12345, -1)

    with pytest.raises(SettingsInvalid, match="TMPDIR"):
        account_directory("http://a", "k", base)
