"""Few who wait look by id, many share one list; the market is asked no more often than we say, however many wait."""

from pathlib import Path

import pytest

from providers.vast.api.boot_waiters import Waiters
from providers.vast.limits import Limits
from providers.vast.renting.renter import Renter
from providers.vast.renting.wait import wait_until_running
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer
from tests.doubles.waiting import GOAL_CALLS, calls_a_minute


def test_three_look_by_themselves_and_a_fourth_has_all_share(tmp_path: Path) -> None:
    clock, waiters = FakeClock(), Waiters(tmp_path)

    assert [waiters.should_look_by_id(number, clock) for number in (1, 2, 3, 1, 4, 1)] == [
        True,
        True,
        True,
        True,
        False,
        False,
    ]


def test_who_has_not_looked_for_a_while_has_gone(tmp_path: Path) -> None:
    clock, waiters = FakeClock(), Waiters(tmp_path)
    for number in range(9):
        waiters.should_look_by_id(number, clock)
    (tmp_path / "waits-77").write_text("damaged")

    clock.sleep(60)

    assert waiters.should_look_by_id(100, clock)
    assert [file.name for file in tmp_path.iterdir()] == ["waits-100"]


def test_a_clock_that_was_set_back_leaves_no_waiter_for_ever(tmp_path: Path) -> None:
    waiters = Waiters(tmp_path)
    for number in range(9):
        waiters.should_look_by_id(number, FakeClock(start=2e9))

    assert waiters.should_look_by_id(100, FakeClock())


@pytest.mark.parametrize(("few", "call"), [(True, "show"), (False, "list")])
def test_a_boot_is_looked_at_every_five_to_ten_seconds(few: bool, call: str) -> None:
    market = FakeMarket(FakeClock(), boot_seconds=120)
    market.few = few
    number = market.add("label", offer(1))

    wait_until_running(Renter(market, market.clock, Limits()), number, "label", 8443, 1e9)

    assert {kind for kind, _ in market.calls} == {call}
    assert all(5 <= pause <= 10 for pause in market.clock.slept)
    assert len(set(market.clock.slept)) > 1


@pytest.mark.parametrize("count", GOAL_CALLS)
def test_the_market_is_asked_no_more_often_than_we_say(tmp_path: Path, count: int) -> None:
    found = calls_a_minute(tmp_path, count)

    assert 0 < found <= GOAL_CALLS[count]
