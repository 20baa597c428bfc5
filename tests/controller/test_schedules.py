"""Random histories of elastic fleets: no request is cut, nothing is leaked or doubled, the budget and waves hold.

One that fails says its seed; `play(seed)` plays it again, move for move.
"""

from collections.abc import Iterable

import pytest

from tests.controller.left_out import LEFT_OUT
from tests.doubles.elastic.rules import Rules
from tests.doubles.elastic.schedule import TROUBLES, play
from tests.doubles.elastic.timeline import Broken

HISTORIES, MANY, IN_ONE = 200, 10_000, 50
BROKE_ONCE = {
    5108: "a failed change and a slot that served by the edit were told in one turn, and the others followed",
    6109: "the same, and the slot had served before the failure",
    6749: "a process that was held up closed the gate of a slot that had come back meanwhile",
    7478: "a new controller, which knew no load yet, ended a slot that another one was bringing back",
}
UNTIL_FOUND = 3000  # at most, for rules that matter only where two rare troubles meet


def play_all(seeds: Iterable[int]) -> None:
    for seed in seeds:
        play(seed)


def breaks(seed: int, rules: Rules) -> bool:
    try:
        play(seed, rules)
    except Broken:
        return True
    return False


@pytest.mark.rotating(of=4)
@pytest.mark.parametrize("first", range(0, HISTORIES, IN_ONE))
def test_nothing_is_cut_leaked_or_doubled_in(first: int) -> None:
    play_all(range(first, first + IN_ONE))


@pytest.mark.deep
@pytest.mark.parametrize("first", range(HISTORIES, MANY, 2 * IN_ONE))
def test_nothing_is_cut_leaked_or_doubled_in_many(first: int) -> None:
    play_all(range(first, first + 2 * IN_ONE))


@pytest.mark.parametrize("seed", BROKE_ONCE)
def test_a_history_that_broke_a_rule_breaks_none_any_more(seed: int) -> None:
    play(seed)


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_rule_that_is_left_out_is_found(name: str) -> None:
    """A history breaks without the rule, and does not with it. The seed is the one that the last search found."""
    seed, rules = LEFT_OUT[name]
    for one in [seed, *range(UNTIL_FOUND)]:
        if breaks(one, rules) and not breaks(one, Rules()):
            return
    pytest.fail(f"none of {UNTIL_FOUND} histories tells that a rule is left out: {name}")


def test_the_histories_reach_every_trouble() -> None:
    reached = {what for seed in range(60) for what in play(seed).counts}
    states = {"absent", "renting", "ready", "leaving", "ending", "failed"}

    hosts = {"request", "death", "landlord", "new start", "stuck gauge", "late samples", "own end"}
    assert {*TROUBLES, *states, *hosts, "taken down", "no controller", "two fleets"} <= reached


def test_a_seed_plays_the_same_history_again() -> None:
    assert play(7).history == play(7).history
