"""Figures of a review: what the example of the comment shows, and None as soon as a part is unknown."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.stack import StackConfig
from providers.vast.settings import InstanceSettings
from review.money import hours_left, periods, priced, spent_of, wanted
from review.prospects import Prospect
from review.report import Action, InstanceReview, Price
from review.standing import Standing
from tests.doubles.market import offer
from tests.doubles.reviewed_repository import CONFIG
from tests.doubles.reviewing import instance
from tests.doubles.settings import PROPS

AT = datetime(2026, 11, 13, tzinfo=UTC).timestamp()  # 18 days are left
REQUIREMENTS = InstanceSettings.from_props(PROPS).to_requirements()


def config(**sections: Any) -> StackConfig:
    plain = {key: value for key, value in CONFIG.items() if "Key" not in key}
    return StackConfig.model_validate({**plain, **sections})


def one(name: str, action: Action, now: float | None, then: float | None, ceiling: float | None) -> InstanceReview:
    price = Price(now=now, then=then, ceiling=ceiling)
    return InstanceReview(name=name, fleet=name.rpartition("-")[0], action=action, usd_per_hour=price)


EXAMPLE = (
    one("chat-0", Action.UNCHANGED, 0.342, 0.342, 0.342),
    one("chat-1", Action.UNCHANGED, 0.351, 0.351, 0.351),
    one("chat-2", Action.RENTED, None, 0.349, 0.50),
    one("chat-3", Action.RENTED, None, 0.358, 0.50),
    one("batch-0", Action.IN_PLACE, 0.462, 0.462, 0.462),
    one("rerank-0", Action.ANOTHER_MACHINE, 0.187, 0.344, 0.45),
)


def test_the_example_s_figures() -> None:
    standing = Standing(stack="dev", at=AT, spent_this_month=412.10)
    budget = {"usdPerDay": 60, "usdPerMonth": 1500}
    day, month, always = periods(EXAMPLE, config(budget=budget), {}, standing, AT, 1.0)

    assert (day.now, day.expected, day.ceiling, day.budget) == (32.208, 52.944, 62.52, 60)
    assert (month.now, month.expected, month.ceiling) == pytest.approx((991.84, 1365.09, 1537.46), abs=0.01)
    assert (month.budget, month.spent, month.hours_left) == (1500, 412.10, 432)
    assert (always.now, always.expected, always.ceiling) == pytest.approx((980, 1610, 1902), abs=0.7)
    assert always.budget is None


def test_an_unknown_price_makes_its_sums_unknown_and_no_other() -> None:
    rows = (one("chat-0", Action.UNCHANGED, None, None, None), one("chat-1", Action.RENTED, None, 0.3, 0.5))
    day, *_ = periods(rows, config(), {}, None, AT, 1.0)
    assert (day.now, day.expected, day.ceiling) == (None, None, None)

    rows = (one("chat-0", Action.UNCHANGED, 0.2, 0.2, 0.2), one("chat-1", Action.RENTED, None, None, 0.5))
    day, month, _ = periods(rows, config(), {}, None, AT, 1.0)
    assert (day.now, day.expected, day.ceiling) == pytest.approx((4.8, None, 16.8))
    assert (month.now, month.spent, month.hours_left) == (None, None, 432)


def test_rents_take_the_best_offers_and_no_machine_twice() -> None:
    offers = [offer(1), offer(2), offer(3)]
    prospect = Prospect("chat", REQUIREMENTS, offers)
    rows = [one(f"chat-{index}", Action.RENTED, None, None, None) for index in range(2)]
    rows += [one("batch-0", Action.ANOTHER_MACHINE, 0.2, None, None), one("batch-1", Action.RENTED, None, None, None)]
    found = priced(rows, {"chat": prospect, "batch": Prospect("batch", REQUIREMENTS, offers)}, config())
    prices = [row.usd_per_hour.then for row in found]

    assert prices == sorted(prices, key=lambda price: price or 0)
    assert len(set(prices[:3])) == 3
    assert prices[3] == prices[2]  # no machine is left: the dearest is expected
    assert [row.usd_per_hour.ceiling for row in found] == [0.5, 0.5, 0.6, 0.6]


def test_the_rents_of_an_edit_and_of_the_controller_want_each_machine_once() -> None:
    offers = [offer(1), offer(1, id=77), offer(2), offer(3)]
    prospects = {name: Prospect(name, REQUIREMENTS, offers) for name in ("chat", "batch")}
    fleet = {**CONFIG["fleets"]["chat"], "replicas": {"min": 2, "max": 4}}
    fleets = {"chat": fleet, "batch": CONFIG["fleets"]["batch"]}
    rows = [one("chat-s0", Action.UNCHANGED, 0.2, None, None), one("batch-0", Action.RENTED, None, None, None)]
    found = wanted(rows, config(fleets=fleets), prospects)

    assert {name: [each.id for each in found[name]] for name in found} == {"batch": [1], "chat": [2]}
    assert wanted(rows, config(fleets=fleets), {"batch": Prospect("batch", trouble="silent")}) == {}


def test_what_stays_costs_what_it_costs_and_what_goes_nothing() -> None:
    rows = (one("chat-0", Action.RECORDED, 0.3, None, None), one("chat-1", Action.GIVEN_BACK, 0.4, None, None))
    found = priced(rows, {}, config())

    assert found[0].usd_per_hour == Price(now=0.3, then=0.3, ceiling=0.3)
    assert found[1].usd_per_hour == Price(now=0.4, then=0.0, ceiling=0.0)


def test_a_silent_market_leaves_the_expected_price_unknown_and_the_ceiling_known() -> None:
    rows = (one("chat-0", Action.RENTED, None, None, None),)
    assert priced(rows, {"chat": Prospect("chat", trouble="silent")}, config())[0].usd_per_hour == Price(ceiling=0.5)


def test_an_elastic_fleet_counts_up_to_its_bounds() -> None:
    fleet = {**CONFIG["fleets"]["chat"], "replicas": {"min": 2, "max": 4}}
    prospect = Prospect("chat", REQUIREMENTS, [offer(1)])
    slots = (one("chat-s0", Action.UNCHANGED, 0.3, 0.3, 0.3),)
    day, *_ = periods(slots, config(fleets={"chat": fleet}), {"chat": prospect}, None, AT, 1.0)
    price = prospect.offers[0].dph_base

    assert day.now == pytest.approx(0.3 * 24)
    assert day.expected is not None
    assert day.expected > (0.3 + price) * 24
    assert day.ceiling == pytest.approx((0.3 + 3 * 0.5) * 24)


def test_a_fast_market_charges_as_fast() -> None:
    slow, fast = (periods(EXAMPLE, config(), {}, None, AT, scale)[0] for scale in (1.0, 30.0))
    assert fast.now == pytest.approx((slow.now or 0) * 30)


@given(st.floats(1.7e9, 2.2e9))
def test_the_rest_of_a_month_ends_with_the_month(at: float) -> None:
    end = datetime.fromtimestamp(at + hours_left(at) * 3600, UTC)
    assert (
        abs((end - datetime(end.year, end.month, end.day, tzinfo=UTC)).total_seconds() % 86_400) < 2 or end.hour == 23
    )
    assert 0 < hours_left(at) <= 31 * 24


def test_what_was_spent_goes_on_at_today_s_rate_until_the_month_ends() -> None:
    rows = (instance("chat-0", usd_per_hour=0.5),)
    standing = Standing(stack="dev", at=AT, instances=rows, spent_this_month=10.0)

    assert spent_of(standing, AT + 7200, 1.0) == pytest.approx(11.0)
    assert spent_of(standing, AT + 40 * 86_400, 1.0) is None
    assert (
        spent_of(standing.model_copy(update={"instances": (instance("chat-0", usd_per_hour=None),)}), AT, 1.0) is None
    )
    assert spent_of(None, AT, 1.0) is None
