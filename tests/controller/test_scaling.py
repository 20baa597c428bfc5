"""How many instances a fleet should have: each rule alone, and what holds for every situation."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.elastic import Elastic
from controller.demand import Claim, Load
from controller.memory import Memory
from controller.money import Money, Period, Spend
from controller.reasons import Rule
from controller.scaling import Decision, Situation, decide
from controller.slots import Slot, State
from tests.doubles.elastic.waves import wave_changes

ELASTIC = Elastic(min=0, max=4, requests_per_instance=8, down_seconds=300, idle_seconds=900)
NOW = 10_000.0
BUSY_ONCE = Memory(0.0, NOW - 10, NOW - 10, ((NOW - 400, 4), (NOW - 200, 3), (NOW - 10, 1)))
QUIET = Memory(0.0, NOW - 10, NOW - 1000, ((NOW - 10, 0),))


def slots(ready: int, renting: int = 0, leaving: int = 0) -> tuple[Slot, ...]:
    states = [State.READY] * ready + [State.RENTING] * renting + [State.LEAVING] * leaving
    return tuple(Slot(index, state) for index, state in enumerate(states))


def decided(**changed: Any) -> Decision:
    situation = Situation("chat", ELASTIC, (), Load(0), (), Money(0.5), QUIET, NOW)
    return decide(replace(situation, **changed))


def rules(decision: Decision) -> list[Rule]:
    return [reason.rule for reason in decision.reasons]


def test_the_load_of_a_fleet_at_nothing_wakes_as_many_as_it_needs_at_once() -> None:
    assert decided(load=Load(17)).desired == 3


def test_a_claim_is_an_instance() -> None:
    decision = decided(claims=(Claim("c1", "chat", 2, NOW, "ann"),), load=Load(3))

    assert decision.desired == 2
    assert decision.reasons[0].facts["who"] == ("ann: 2 until 10000 (c1)",)


@pytest.mark.parametrize(("requests", "desired"), [(16, 2), (17, 2), (18, 3), (33, 4), (9999, 4)])
def test_up_at_once_past_a_tenth_and_never_beyond_max(requests: int, desired: int) -> None:
    assert decided(load=Load(requests), slots=slots(1, renting=1)).desired == desired


def test_down_only_to_the_most_of_the_window() -> None:
    decision = decided(load=Load(1), slots=slots(4), memory=BUSY_ONCE)

    assert decision.desired == 3
    assert Rule.DOWN_WINDOW in rules(decision)


def test_a_controller_that_starts_watches_for_a_window_first() -> None:
    memory = Memory()
    for second in range(0, 320, 10):
        decision = decided(load=Load(1), slots=slots(3), memory=memory, now=NOW + second)
        memory = decision.memory
        assert decision.desired == (3 if second < 300 else 1)


def test_a_gap_in_which_nobody_watched_starts_the_window_anew() -> None:
    assert decided(load=Load(1), slots=slots(3), memory=replace(QUIET, last=NOW - 31)).desired == 3
    assert decided(load=Load(1), slots=slots(3), memory=replace(QUIET, last=NOW - 29)).desired == 1


@pytest.mark.parametrize(("load", "desired"), [(Load(1, ("slot 2",)), 3), (Load(27, ("held",)), 4)])
def test_unknown_load_makes_no_fleet_smaller_and_may_make_it_larger(load: Load, desired: int) -> None:
    assert decided(load=load, slots=slots(3)).desired == desired


def test_the_last_one_stays_for_the_idle_window() -> None:
    assert decided(slots=slots(2)).desired == 0
    assert decided(slots=slots(2), memory=replace(QUIET, wanted_at=NOW - 899)).desired == 1


@pytest.mark.parametrize("load", [Load(0, idle_seconds=899), Load(0, untold=True)])
def test_a_host_that_served_or_does_not_tell_keeps_the_last_one(load: Load) -> None:
    assert decided(slots=slots(2), load=load).desired == 1


def test_a_fleet_at_nothing_stays_there() -> None:
    assert decided(memory=Memory()).desired == 0


def test_the_least_and_the_most_come_last() -> None:
    assert decided(elastic=ELASTIC.model_copy(update={"min": 2})).desired == 2
    assert decided(elastic=ELASTIC.model_copy(update={"max": 0}), slots=slots(3), load=Load(99)).desired == 0


def day(spent: Spend | None, hours: float = 10.0) -> Money:
    return Money(0.5, (Period("day", 20.0, hours, spent),))


@pytest.mark.parametrize(
    ("money", "desired"),
    [
        (day(Spend(0)), 4),  # 4 x $0.50 x 10 h
        (day(Spend(0.01)), 3),
        (day(Spend(0, age_seconds=3600)), 3),  # four may have run for an hour meanwhile
        (day(Spend(16)), 1),  # two that run stay, although $4 hold none more
        (day(None), 1),
        (replace(day(Spend(0)), others=0.5), 3),
        (replace(day(Spend(14)), life_hours=1.0), 4),
        (Money(0.5, (Period("day", 0.0, 10.0, None),)), 4),
    ],
)
def test_money_stops_rents(money: Money, desired: int) -> None:
    assert decided(load=Load(32), slots=slots(1), money=money).desired == desired


def test_money_cuts_nothing_that_runs_or_comes_back() -> None:
    spent = day(Spend(20.0))

    assert decided(load=Load(32), slots=slots(2, renting=1), money=spent).desired == 3
    assert decided(load=Load(32), slots=slots(2, leaving=1), money=spent).desired == 3
    assert decided(load=Load(32, barred=1), slots=slots(2, leaving=1), money=spent).desired == 2


def test_a_decision_is_data_for_the_ledger() -> None:
    record = decided(load=Load(20), slots=slots(1), money=day(Spend(15))).record()

    assert record["desired"] == 1
    assert record["reasons"] == [
        {
            "rule": "load",
            "says": "20 requests at 8 an instance need 2.50",
            "facts": {"requests": 20, "requestsPerInstance": 8},
        },
        {
            "rule": "budget",
            "says": "$20.00 of the day's $20.00 are spent or promised at the ceilings of 1 slots; 0 more fit",
            "facts": {
                "period": "day",
                "budgetUsd": 20.0,
                "committedUsd": 20.0,
                "hoursLeft": 10.0,
                "ceilingUsdPerHour": 0.5,
                "paidSlots": 1,
            },
        },
    ]


bounds = st.tuples(st.integers(0, 5), st.integers(0, 5)).map(sorted)
situations = st.builds(
    lambda low_high, counts, load, unknown, claimed, spent: {
        "elastic": ELASTIC.model_copy(update={"min": low_high[0], "max": low_high[1]}),
        "slots": slots(*counts),
        "load": Load(load, ("slot 0",) if unknown else ()),
        "claims": (Claim("c", "chat", claimed, NOW, "ann"),) if claimed else (),
        "money": day(None if spent > 20 else Spend(spent)),
        "memory": BUSY_ONCE,
    },
    bounds,
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)),
    st.integers(0, 60),
    st.booleans(),
    st.integers(0, 3),
    st.floats(0, 25),
)


@given(situations)
def test_every_decision_keeps_bounds_and_budget_and_says_why(situation: dict[str, Any]) -> None:
    decision = decided(**situation)
    elastic, there = situation["elastic"], decision.capacity
    kept = there + sum(slot.state is State.LEAVING for slot in situation["slots"])

    assert decision.desired <= elastic.max
    assert decision.desired >= min(elastic.min, kept)
    assert decision.desired == there or decision.reasons
    if decision.desired > kept:
        paid = len(situation["slots"]) + decision.desired - kept
        spent = situation["money"].periods[0].spent
        assert spent is not None
        assert spent.usd + paid * 0.5 * 10 <= 20.0 + 1e-6


@given(situations, st.integers(0, 60))
def test_more_load_never_wants_fewer(situation: dict[str, Any], more: int) -> None:
    larger = situation | {"load": replace(situation["load"], requests=situation["load"].requests + more)}

    assert decided(**larger).desired >= decided(**situation).desired


WAVES = [4, 6, 10, 20, 30]  # minutes: half of it high, half low


@pytest.mark.parametrize("minutes", WAVES)
@pytest.mark.parametrize(("least", "low"), [(0, 0), (0, 3), (1, 0), (1, 9)])
def test_a_square_wave_for_an_hour_changes_the_count_twice_a_wave_at_most(minutes: int, least: int, low: int) -> None:
    changes = wave_changes(ELASTIC.model_copy(update={"min": least}), minutes, low, high=30)
    to_nothing = least == low == 0 and 30 * minutes >= ELASTIC.idle_seconds  # the step from 1 to 0 comes later

    assert changes <= (3 if to_nothing else 2) * 60 / minutes
