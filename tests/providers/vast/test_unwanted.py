"""An instance that is not wanted any more is not rented, and one that was rented meanwhile is given back."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from providers.vast.create import Served, bring_online
from providers.vast.limits import Limits
from providers.vast.main_stack import MainStackEnds
from providers.vast.renting.renter import Renter
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket
from tests.providers.vast.test_create import ORDER, FakeBootstrap


@pytest.fixture
def market() -> FakeMarket:
    return FakeMarket(FakeClock())


def online(market: FakeMarket, bootstrap: FakeBootstrap, confirm_wanted: Callable[[bool], None]) -> Served:
    order = replace(ORDER, confirm_wanted=confirm_wanted)
    return bring_online(Renter(market, market.clock, Limits()), order, bootstrap, lambda *_: None)


def test_what_is_not_wanted_before_a_rent_rents_nothing(market: FakeMarket) -> None:
    bootstrap = FakeBootstrap()

    def refuse(_is_rented: bool) -> None:
        raise MainStackEnds("the main stack is gone")

    with pytest.raises(MainStackEnds):
        online(market, bootstrap, refuse)

    assert not market.rows
    assert not bootstrap.served


def test_what_is_not_wanted_once_it_serves_is_given_back(market: FakeMarket) -> None:
    bootstrap = FakeBootstrap()
    asked: list[bool] = []

    def refuse(is_rented: bool) -> None:
        asked.append(is_rented)
        if is_rented:
            raise MainStackEnds("the main stack is gone")

    with pytest.raises(MainStackEnds):
        online(market, bootstrap, refuse)

    assert not market.rows
    assert (asked, len(bootstrap.served)) == ([False, True], 1)


def test_what_is_wanted_is_asked_about_before_each_rent(market: FakeMarket) -> None:
    asked: list[bool] = []

    online(market, FakeBootstrap(), asked.append)

    assert asked == [False, True]
