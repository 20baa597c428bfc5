"""Shared searches: one question for several at once, forgotten in time and on demand."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bootstrap.clock import SystemClock
from providers.vast.offers import Offer
from providers.vast.recent import FRESH_SECONDS, RecentSearches
from tests.doubles.clock import FakeClock


class Shop:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def ask(self) -> list[Offer]:
        self.asked += 1
        return []


def test_an_answer_is_used_again_until_it_is_old() -> None:
    searches, shop, clock = RecentSearches(), Shop(), FakeClock()

    searches.get({"a": 1}, shop.ask, clock)
    clock.sleep(FRESH_SECONDS - 1)
    searches.get({"a": 1}, shop.ask, clock)
    assert shop.asked == 1

    clock.sleep(2)
    searches.get({"a": 1}, shop.ask, clock)
    assert shop.asked == 2


def test_a_faster_market_forgets_faster() -> None:
    searches, shop, clock = RecentSearches(time_scale=30), Shop(), FakeClock()

    searches.get({}, shop.ask, clock)
    clock.sleep(FRESH_SECONDS / 30 + 0.1)
    searches.get({}, shop.ask, clock)

    assert shop.asked == 2


def test_another_query_is_asked() -> None:
    searches, shop, clock = RecentSearches(), Shop(), FakeClock()

    searches.get({"a": 1, "b": 2}, shop.ask, clock)
    searches.get({"b": 2, "a": 1}, shop.ask, clock)
    searches.get({"a": 1}, shop.ask, clock)

    assert shop.asked == 2


def test_what_is_gone_is_asked_for_anew() -> None:
    searches, shop, clock = RecentSearches(), Shop(), FakeClock()

    searches.get({}, shop.ask, clock)
    searches.forget()
    searches.get({}, shop.ask, clock)

    assert shop.asked == 2


def test_a_failure_is_not_remembered_and_blocks_nobody() -> None:
    searches, shop, clock = RecentSearches(), Shop(), FakeClock()

    def fail() -> list[Offer]:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        searches.get({}, fail, clock)
    searches.get({}, shop.ask, clock)

    assert shop.asked == 1


def test_of_several_at_once_one_asks() -> None:
    searches, shop, begun, go = RecentSearches(), Shop(), threading.Event(), threading.Event()

    def slowly() -> list[Offer]:
        begun.set()
        assert go.wait(10)
        return shop.ask()

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(searches.get, {}, slowly, SystemClock())
        assert begun.wait(10)
        others = [pool.submit(searches.get, {}, slowly, SystemClock()) for _ in range(3)]
        go.set()
        assert [future.result(10) for future in (first, *others)] == [[]] * 4

    assert shop.asked == 1
