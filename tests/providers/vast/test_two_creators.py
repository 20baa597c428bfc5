"""Two creators of one instance, a thousand times: neither destroys what the other holds, and one machine is left.

A fourth of the thousand is played for each commit.
"""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from providers.vast.renting import rent
from providers.vast.renting.adopt import Adoption
from tests.doubles.two_creators import Meeting, meet

MEETINGS, IN_ONE = 1000, 250
UNTIL_FOUND = 6 * MEETINGS  # at most, for a rule that matters only where rare moments meet


def meet_all(seeds: Iterable[int]) -> None:
    for seed in seeds:
        meet(seed)


@pytest.mark.rotating(of=8)
@pytest.mark.parametrize("first", range(0, MEETINGS, IN_ONE))
def test_neither_destroys_what_the_other_holds(first: int) -> None:
    meet_all(range(first, first + IN_ONE))


@pytest.mark.parametrize("marks", [True, False])
def test_without_faults_both_end_with_the_same_machine(marks: bool) -> None:
    for seed in range(100):
        found = meet(seed, marks, calm=True)
        assert [one.returned for one in found.creators] == [*found.rented] * 2


def test_a_mark_that_is_never_known_destroys_nothing_that_serves() -> None:
    for seed in range(100):
        found = Meeting(seed, calm=True, silence=1.0)
        assert found.returned <= found.rented, found.full_history


def test_a_mark_that_is_not_known_now_and_then_decides_all_the_same() -> None:
    for seed in range(100):
        meet(seed, calm=True, silence=0.2)


_settle = rent.settle


@pytest.mark.parametrize(
    ("seed", "room", "rule", "instead"),
    [
        (1, Adoption, "_withdraw", lambda *_a: None),
        (1, Adoption, "_holder", lambda _self, _market, number, under: min([number, *under])),
        (1, Adoption, "keep", lambda *_a: None),
        (304, Adoption, "_is_gone", lambda *_a: True),
        (147, rent, "settle", lambda renter, label, _machine=None: _settle(renter, label)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_rule_that_is_left_out_is_found(
    monkeypatch: pytest.MonkeyPatch, seed: int, room: Any, rule: str, instead: Callable[..., Any]
) -> None:
    """`seed` is the one that the last search found, tried first."""
    monkeypatch.setattr(room, rule, instead)

    with pytest.raises(AssertionError):
        meet_all([seed, *range(UNTIL_FOUND)])


def test_a_seed_plays_the_same_meeting_again() -> None:
    assert Meeting(7).history == Meeting(7).history
