"""Trouble of the market's API gives no machine back: ten minutes of it in each phase, in each of the ways it was seen."""

from dataclasses import replace
from typing import Any

import pytest

from providers.engine_watch import EngineGone
from providers.vast.api import errors
from providers.vast.create import Served, bring_online
from providers.vast.limits import Limits
from providers.vast.renting.give_back import give_back
from providers.vast.renting.renter import Renter
from tests.doubles.clock import FakeClock
from tests.doubles.ledger import FakeLedger
from tests.doubles.market import FakeMarket, offer
from tests.doubles.outages import LABEL, ORDER, PHASES, TROUBLES, Serving, TroubledMarket, bring

FOR_GOOD = 1e9


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_ten_minutes_of_trouble_cost_no_machine(trouble: str, phase: str) -> None:
    market, reported = TroubledMarket(FakeClock(), TROUBLES[trouble], PHASES[phase]), list[str]()

    served = bring(market, lambda phase, text: reported.append(f"{phase} {text}"))

    assert market.rents == 1
    assert list(market.rows) == [served.instance.id]
    assert "destroy" not in [call for call, _ in market.calls]
    assert market.clock.now >= 600
    assert [line for line in reported if "vast.ai" in line]


@pytest.mark.parametrize("phase", ["wait", "log"])
def test_trouble_past_the_end_of_a_create_leaves_the_instance_and_says_so(phase: str) -> None:
    market = TroubledMarket(FakeClock(), TROUBLES["a 502 page of the proxy"], PHASES[phase], FOR_GOOD)
    ledger = FakeLedger()

    with pytest.raises(errors.LeftRented) as raised:
        bring(market, ledger=ledger)

    (number,) = market.rows
    assert f"INSTANCE {number} IS STILL RENTED at $0.3" in str(raised.value)
    assert f"vastai destroy instance {number} -y" in str(raised.value)
    assert "`pulumi up`" in str(raised.value)
    assert "ends itself" not in str(raised.value)  # a container that never started has no timer
    assert "destroy" not in [call for call, _ in market.calls]
    assert ledger.outcomes[-2:] == ["failed", "still-rented"]
    assert ledger.machine_histories() == {}  # no machine is to blame


NO_KEY = {"a key that is refused": lambda call: errors.CredentialsRefused(f"no key for '{call}'")}


@pytest.mark.parametrize("name", [*TROUBLES, *NO_KEY])
def test_what_serves_is_kept_though_the_last_look_never_comes(name: str) -> None:
    market, reported = (
        TroubledMarket(FakeClock(), {**TROUBLES, **NO_KEY}[name], PHASES["last look"], FOR_GOOD),
        list[str](),
    )

    served = bring(market, lambda phase, text: reported.append(f"{phase} {text}"))

    assert list(market.rows) == [served.instance.id]
    assert f"instance {served.instance.id} serves; whether another" in reported[-1]


def test_what_serves_is_kept_though_a_surplus_one_cannot_be_given_back() -> None:
    market, reported = TroubledMarket(FakeClock(), TROUBLES["a time-out"], ("destroy", 0), FOR_GOOD), list[str]()
    other: list[int] = []
    market.before["log"] = [lambda _id: other.append(market.add(LABEL, offer(9)))]

    served = bring(market, lambda phase, text: reported.append(f"{phase} {text}"))

    assert served.instance.id in market.rows
    assert f"INSTANCE {other[0]} MAY STILL BE RENTED" in reported[-1]


def test_giving_back_outlasts_ten_minutes_of_trouble_and_not_an_hour() -> None:
    market = TroubledMarket(FakeClock(), TROUBLES["a time-out"], ("destroy", 0))
    number = market.add(LABEL, offer(1))
    give_back(Renter(market, market.clock, Limits()), number)
    assert market.rows == {}

    market = TroubledMarket(FakeClock(), TROUBLES["a time-out"], ("destroy", 0), FOR_GOOD)
    number = market.add(LABEL, offer(1))
    with pytest.raises(errors.StillRented, match=f"INSTANCE {number} MAY STILL BE RENTED"):
        give_back(Renter(market, market.clock, Limits()), number)
    assert market.clock.now < 1200


def test_a_host_keeps_its_timer_until_nothing_stands_between_it_and_state() -> None:
    market, happened = TroubledMarket(FakeClock(), TROUBLES["a time-out"], PHASES["last look"]), list[str]()

    class Timed(Serving):
        def serve(self, *words: Any) -> Served:
            served = super().serve(*words)
            happened.append("served")
            return replace(served, end_timer=lambda: happened.append(f"timer ended at {market.clock.now >= 600}"))

    bring_online(Renter(market, market.clock, Limits()), ORDER, Timed(), lambda phase, _text: happened.append(phase))

    assert happened[-1] == "timer ended at True"
    assert happened.index("market") > happened.index("served")


def test_an_engine_that_dies_while_the_timer_is_ended_leaves_nothing_rented() -> None:
    market = FakeMarket(FakeClock())

    def die() -> None:
        market.clock.gone_at = market.clock.now

    class Timed(Serving):
        def serve(self, *words: Any) -> Served:
            return replace(super().serve(*words), end_timer=die)

    with pytest.raises(EngineGone):
        bring_online(Renter(market, market.clock, Limits()), ORDER, Timed(), lambda *_: None)

    assert market.rows == {}


def test_what_cannot_be_given_back_to_an_engine_that_died_keeps_its_timer() -> None:
    market, ended = TroubledMarket(FakeClock(), TROUBLES["a time-out"], PHASES["last look"], FOR_GOOD), list[str]()

    class Timed(Serving):
        def serve(self, *words: Any) -> Served:
            market.clock.gone_at = market.clock.now
            return replace(super().serve(*words), end_timer=lambda: ended.append("timer"))

    with pytest.raises(errors.StillRented):
        bring_online(Renter(market, market.clock, Limits()), ORDER, Timed(), lambda *_: None)

    assert len(market.rows) == 1
    assert ended == []
