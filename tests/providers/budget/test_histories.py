"""Days of 48 renters on two computers with late lists, lost replies and kills: no budget is passed."""

from collections.abc import Iterable

import pytest

from tests.doubles.budget_history import play

DAYS, MANY, IN_ONE = 10, 200, 10
UNTIL_FOUND = 20  # days at most


def passed(seeds: Iterable[int]) -> list[str]:
    days = [play(seed) for seed in seeds]
    return [f"seed {day.seed}: ${day.usd:.2f} of ${day.budget:.2f}" for day in days if day.usd > day.budget]


def test_a_seed_plays_the_same_day_again() -> None:
    days = [play(41) for _again in range(3)]

    assert len({(day.usd, day.refused, day.kills) for day in days}) == 1


def test_no_budget_is_passed() -> None:
    assert passed(range(DAYS)) == []


@pytest.mark.deep
@pytest.mark.parametrize("first", range(DAYS, MANY, IN_ONE))
def test_no_budget_is_passed_on_many_days(first: int) -> None:
    assert passed(range(first, first + IN_ONE)) == []


def test_the_same_days_pass_their_budget_if_the_book_keeps_no_reservation() -> None:
    assert any(day.usd > day.budget for day in (play(seed, reserving=False) for seed in range(UNTIL_FOUND)))


def test_the_days_reach_refusals_and_kills_and_use_most_of_the_budget() -> None:
    days = [play(seed) for seed in range(4)]

    assert sum(day.refused for day in days) > 20
    assert sum(day.kills for day in days) > 3
    assert max(day.usd / day.budget for day in days) > 0.8
