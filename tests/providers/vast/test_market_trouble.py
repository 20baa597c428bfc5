"""Every trouble of the market in every phase of an instance's life: nothing healthy is destroyed, nothing rented is unknown.

A slice of what `bench/market_trouble.py` plays with a thousand seeds. One that fails says its case; `play(*case)` plays it
again, move for move.
"""

import pytest

from providers.vast import down_check, lifecycle
from providers.vast.api.instance import Failed, Instance, Pending, Running, classify
from providers.vast.renting import give_back, rent, wait
from tests.doubles.market_trouble import CASES, FAULTS, PHASES, play


@pytest.mark.rotating(of=3)
@pytest.mark.parametrize("phase", PHASES)
def test_no_trouble_costs_a_healthy_machine_or_leaves_one_unknown(phase: str) -> None:
    for seed, case in enumerate(case for case in CASES if case[1] == phase):
        found = play(*case, seed)

        assert (found.destroyed, found.unknown) == (0, 0), f"{case} {seed}\n{found.history}"
        assert found.struck, f"{case} was never met"


def test_each_trouble_is_played_in_each_phase_in_which_it_can_be_met() -> None:
    assert len(CASES) == len(set(CASES)) >= 0.8 * len(FAULTS) * len(PHASES)


def _down(instance: Instance, port: int) -> Failed | Pending | Running:
    """What does not run is broken."""
    state = classify(instance, port)
    return Failed("offline", "it does not run") if isinstance(state, Pending) else state


@pytest.mark.parametrize(
    ("room", "rule", "instead", "case"),
    [
        (wait, "classify", _down, ("rebooting", "wait")),
        (give_back, "is_absent", lambda *_a: True, ("an accepted destroy does nothing", "give back")),
        (down_check, "_is_lost", lambda *_a: True, ("offline, and it answers", "refresh")),
        (lifecycle, "is_absent", lambda *_a: True, ("nothing is there", "refresh")),
        (rent, "settle", lambda *_a: [], ("the rent's reply is lost", "rent")),
    ],
    ids=["words of what boots", "two looks", "what answers", "two looks of a refresh", "looking a lost rent up"],
)
def test_a_rule_that_is_left_out_is_found(
    monkeypatch: pytest.MonkeyPatch, room, rule, instead, case: tuple[str, str]
) -> None:
    monkeypatch.setattr(room, rule, instead)

    found = [play(*case, seed) for seed in range(40)]

    assert any(one.destroyed or one.unknown for one in found)


def test_a_case_plays_the_same_life_again() -> None:
    assert play("rebooting", "log", 3).history == play("rebooting", "log", 3).history
