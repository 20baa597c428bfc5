"""Rentals from the ledger: one an instance, whatever attempts it appears in, and an end that nobody knows is doubted."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.worth.rentals import Rental, rentals_of
from providers.budget import own_count
from providers.budget.own_count import COUNTED
from providers.budget.period import Period
from providers.ledger.event import Event
from tests.doubles.ledger_events import attempt, event

BEGIN = 1_796_000_000.0
NOW = BEGIN + 7200
PHASES = {"rent": 10.0, "wait": 100.0, "probe": 600.0}


def only(events: list[Event], listed: set[int] | None = None, scale: float = 1.0) -> Rental:
    [found] = rentals_of(events, NOW, listed, scale)
    return found


def tried(began: float = BEGIN, attempt_id: str = "a", **known: Any) -> list[Event]:
    """An attempt on an offer, which the ledger names."""
    return attempt(began, attempt_id, **{"offer_id": 70, "phases": PHASES, **known})


def ended(at: float, **known: object) -> Event:
    return event(at, "ended", "7", seconds=at - BEGIN, usd=(at - BEGIN) / 10_000, **known)


def test_what_serves_costs_its_start_and_then_its_price() -> None:
    found = only(tried(), {7})

    assert (found.rented, found.served, found.until, found.doubt) == (BEGIN, BEGIN + 600, NOW, "")
    assert found.before(0, NOW).usd == pytest.approx(0.06)
    assert found.after(0, NOW).usd == pytest.approx(6600 / 3600 * 0.36)


def test_an_end_in_the_ledger_ends_it_whatever_the_market_lists() -> None:
    events = [*tried(), ended(BEGIN + 4200), ended(BEGIN + 4300)]

    assert only(events, {7}).until == BEGIN + 4200
    assert only(events, None) == only(events, set())
    assert only(events).doubt == ""


def test_what_never_served_costs_what_its_attempt_counted() -> None:
    found = only(tried(phases={"rent": 10.0, "wait": 100.0}, reason="slow"), set())

    assert (found.served, found.until, found.doubt) == (None, BEGIN + 101, "")
    assert found.before(0, NOW).usd == pytest.approx(101 / 3600 * 0.36)  # no more than its whole price


def test_one_that_boots_now_counts_at_its_whole_price_as_it_does_in_a_budget() -> None:
    boots = tried(phases={"rent": 10.0})[:-1]

    assert only(boots, {7}).before(0, NOW).usd == pytest.approx(2 * 0.36)


def test_an_adopted_instance_is_one_rental_from_its_rent_on() -> None:
    killed = tried(phases={"rent": 10.0, "wait": 100.0})[:-1]
    again = [event(BEGIN + 1000, "adopted", "b"), event(BEGIN + 1600, "served", "b", seconds=600, usd=0.06)]

    found = only([*killed, *again], {7})

    assert (found.rented, found.served) == (BEGIN, BEGIN + 1600)
    assert found.before(0, NOW).usd == pytest.approx(1600 / 3600 * 0.36)


@pytest.mark.parametrize(
    ("listed", "says"), [(set(), "the market lists it no more"), (None, "the market does not answer")]
)
def test_an_end_that_nobody_knows_is_told_and_nothing_is_made_up(listed: set[int] | None, says: str) -> None:
    found = only(tried(), listed)

    assert found.until == found.served == BEGIN + 600
    assert found.doubt == f"the ledger does not know its end, and {says}"
    assert found.after(0, NOW).usd == 0


def test_a_price_that_nobody_knows_is_told() -> None:
    found = only(tried(usd_per_hour=None), {7})

    assert found.doubt == "the ledger does not know its price"
    assert found.after(0, NOW) == found.after(0, NOW).__class__(6600.0, 0.0)


def test_a_market_whose_clock_runs_faster_charges_more() -> None:
    found = only(tried(), {7}, scale=30)

    assert found.before(0, NOW).usd == pytest.approx(1.8)
    assert found.after(0, NOW).usd == pytest.approx(30 * 6600 / 3600 * 0.36)


OUTCOMES = st.sampled_from(
    ["renting", "taken", "rented", "adopted", "passed", "served", "failed", "given-back", "still-rented", "ended"]
)
EVENTS = st.lists(
    st.builds(
        lambda at, outcome, tried, number, usd, price: event(
            BEGIN + at, outcome, tried, instance_id=number, usd=usd, usd_per_hour=price, seconds=at
        ),
        st.floats(0, 7200),
        OUTCOMES,
        st.sampled_from("ab"),
        st.none() | st.integers(7, 9),
        st.floats(0, 9),
        st.none() | st.floats(0, 9),
    ),
    max_size=12,
)


@given(EVENTS, st.none() | st.sets(st.integers(7, 9)))
def test_any_ledger_gives_rentals_that_cost_no_less_than_nothing(events: list[Event], listed: set[int] | None) -> None:
    found = rentals_of(events, NOW, listed)

    counted = [one for one in events if one.outcome in COUNTED and one.instance_id is not None]
    assert {one.instance_id for one in found} == {one.instance_id for one in counted}
    for one in found:
        halves = [one.before(BEGIN, BEGIN + 3600), one.before(BEGIN + 3600, NOW)]
        assert one.rented <= one.until
        assert one.before(0, NOW).usd >= sum(half.usd for half in halves) - 1e-6
        assert min(one.before(0, NOW).usd, one.after(0, NOW).usd, *(half.seconds for half in halves)) >= 0


@pytest.mark.parametrize("listed", [set(), {7}])
@pytest.mark.parametrize(
    "events",
    [
        tried(),
        [*tried(), ended(BEGIN + 4200)],
        tried(reason="slow"),
        [*tried()[:-1], event(BEGIN + 1000, "adopted", "b"), event(BEGIN + 1600, "served", "b", usd=0.06)],
        tried(image_usd=0.01, traffic_usd=0.02, charged_usd_per_hour=0.30),
    ],
)
def test_the_money_is_that_of_the_budgets_count(events: list[Event], listed: set[int]) -> None:
    found = only(events, listed)

    [counted] = own_count.rentals_of(events, 1.0).values()
    whole = counted.usd_in(Period("all", 0.0, NOW + 1), found.until)
    assert found.before(0, NOW).usd + found.after(0, NOW).usd == pytest.approx(whole)
