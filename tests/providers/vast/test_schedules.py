"""A thousand histories of a fleet, each with faults, kills and an operator who goes on: nothing is ever left rented.

A fourth of them is played for each commit.

One that fails says its seed; `play(seed)` plays it again, move for move.
"""

from collections.abc import Iterable

import pytest

from providers.rentals import teardown
from providers.vast import down_check, lifecycle, running_check
from providers.vast.api import account
from providers.vast.renting import adopt, give_back, look, rent
from providers.vast.renting.ownership import Finding, Kind
from tests.doubles.schedule import Leak, play
from tests.doubles.scheduled_market import ANYWHERE, FAULTS

HISTORIES, IN_ONE = 1000, 50
UNTIL_FOUND = 10 * HISTORIES  # at most, for rules that matter only where two rare faults meet


def play_all(seeds: Iterable[int]) -> None:
    for seed in seeds:
        play(seed)


def leaks(seed: int) -> bool:
    try:
        play(seed)
    except Leak:
        return True
    return False


@pytest.mark.rotating(of=8)
@pytest.mark.parametrize("first", range(0, HISTORIES, IN_ONE))
def test_nothing_is_left_rented_after(first: int) -> None:
    play_all(range(first, first + IN_ONE))


def test_the_histories_reach_every_fault() -> None:
    missing = {*ANYWHERE, *(each for faults in FAULTS.values() for each in faults)}
    for seed in range(400):
        if not missing:
            return
        history = "\n".join(play(seed).market.history)
        missing = {fault for fault in missing if f"  {fault} at " not in history}
    assert missing == set()


@pytest.mark.parametrize(
    ("seed", "room", "rule", "instead"),
    [
        (24, adopt, "give_back", lambda *_a: None),
        (18, adopt.Adoption, "adopt", lambda *_a: None),
        (133, adopt.Adoption, "keep", lambda *_a: None),
        (17, rent, "settle", lambda *_a: []),
        (46, rent, "settle", lambda renter, label, *_a: list(renter.market.instances(label))),
        (382, lifecycle, "is_absent", lambda *_a: True),
        (3, account, "confirm", lambda *_a: None),
        (1, teardown, "sort_out", lambda left, *_a: [Finding(one, Kind.UNKNOWN, "") for one in left]),
        (5466, give_back, "is_absent", lambda renter, number, _label=None: look.find(renter.market, number) is None),
        (133, lifecycle, "give_back", lambda renter, number, *_more: renter.market.destroy(number)),
        (188, down_check, "_is_lost", lambda *_a: True),
        (53, running_check.Downtime, "left", lambda *_a: 0.0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_rule_that_is_left_out_is_found(monkeypatch: pytest.MonkeyPatch, seed, room, rule, instead) -> None:
    """A history leaks without the rule, and does not with it. `seed` is the one that the last search found, tried first."""
    for one in [seed, *range(UNTIL_FOUND)]:
        with monkeypatch.context() as without:
            without.setattr(room, rule, instead)
            leaked = leaks(one)
        if leaked and not leaks(one):
            return
    pytest.fail(f"none of {UNTIL_FOUND} histories tells that {rule} is left out")


def test_a_seed_plays_the_same_history_again() -> None:
    assert play(7).market.history == play(7).market.history
