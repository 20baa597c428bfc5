"""The board of an update: who may be down, who waits, and what ends the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.vast.rollout import HANDOVER_SECONDS, SETTLING_SECONDS, Board, RolloutStoppedError

FLEET = "gpu-fleet/abc/chat"
LATER = SETTLING_SECONDS + 1


def label(index: int) -> str:
    return f"{FLEET}-{index}"


def board(members: int = 4, most: int = 1, coming: tuple[int, ...] = ()) -> Board:
    made = Board()
    for index in range(members):
        made.announce(FLEET, label(index), most, members, there=index not in coming, now=0.0)
    return made


def enter(made: Board, index: int, now: float = 1.0, alive: bool = True, waits: bool = True) -> list[str] | None:
    return made.enter(label(index), "me", now, lambda _holder: alive, waits)


def test_the_next_waits_until_the_last_serves() -> None:
    made = board()

    assert enter(made, 0) is None
    assert enter(made, 1) == [label(0)]
    made.leave(label(0))
    assert enter(made, 1) is None


def test_a_replacement_is_down_from_its_delete_to_the_end_of_its_create() -> None:
    made = board()
    assert enter(made, 0) is None

    made.given_back(label(0), 2.0)

    assert enter(made, 1, 3.0) == [label(0)]
    assert enter(made, 0, 3.0, waits=False) is None, "its create"
    assert enter(made, 1, 3.0 + 2 * HANDOVER_SECONDS) == [label(0)], "a create may take as long as it takes"
    made.leave(label(0))
    assert enter(made, 1, 4.0) is None


def test_a_failure_stops_what_has_not_begun() -> None:
    made = board(most=2)
    assert enter(made, 0) is None

    made.stop(label(0), "chat-0: vLLM does not answer\nmore")

    with pytest.raises(RolloutStoppedError, match=r"^chat-0 failed \(vLLM does not answer\)$"):
        enter(made, 1)
    assert enter(made, 2, waits=False) is None, "what was given back gets its successor all the same"


def test_a_failure_of_one_fleet_stops_the_others_because_the_engine_ends_the_update() -> None:
    made = board()
    made.announce("gpu-fleet/abc/other", "gpu-fleet/abc/other-0", 1, 1, there=True, now=0.0)

    made.stop("gpu-fleet/abc/other-0", "broken")

    with pytest.raises(RolloutStoppedError, match="other-0 failed"):
        enter(made, 0)


def test_a_process_that_was_killed_keeps_nobody_waiting() -> None:
    made = board()
    assert enter(made, 0) is None

    with pytest.raises(RolloutStoppedError, match=r"chat-0 failed \(the process that did it has ended\)"):
        enter(made, 1, alive=False)


def test_an_engine_that_ends_between_delete_and_create_keeps_nobody_waiting() -> None:
    made = board()
    assert enter(made, 0) is None
    made.given_back(label(0), 2.0)

    assert enter(made, 1, 2.0 + HANDOVER_SECONDS) == [label(0)]
    with pytest.raises(RolloutStoppedError, match="its machine was given back"):
        enter(made, 1, 3.0 + HANDOVER_SECONDS)


def test_creating_waits_for_nobody_and_counts_as_down() -> None:
    made = board(coming=(2, 3))

    assert enter(made, 2, waits=False) is None
    assert enter(made, 3, waits=False) is None
    assert enter(made, 0) == [label(2), label(3)]


def test_one_that_is_missing_is_waited_for_before_another_goes_down() -> None:
    made = board(coming=(3,))

    assert enter(made, 0) == []
    assert enter(made, 3, waits=False) is None
    assert enter(made, 0) == [label(3)]


def test_nothing_goes_down_before_the_update_has_told_what_it_has() -> None:
    made = Board()
    made.announce(FLEET, label(0), 1, 2, there=True, now=0.0)

    assert enter(made, 0, 1.0) == []
    assert enter(made, 0, LATER) is None, "an update of some targets tells no more"


def test_the_check_before_a_create_of_a_replacement_makes_it_no_new_instance() -> None:
    made = board()
    made.announce(FLEET, label(0), 1, 4, there=False, now=1.0)

    assert enter(made, 1) is None


def test_one_that_is_leaving_waits_for_nobody() -> None:
    made = board()
    assert enter(made, 0) is None

    assert enter(made, 9) is None


@given(st.integers(1, 8), st.integers(1, 8), st.lists(st.integers(0, 7), max_size=60))
def test_never_more_are_down_than_may_be(members: int, most: int, order: list[int]) -> None:
    made = board(members, most)
    down: set[int] = set()
    for index in (index % members for index in order):
        if index in down:
            made.leave(label(index))
            down.remove(index)
        elif enter(made, index) is None:
            down.add(index)
        assert len(down) <= most
    for index in down:
        made.leave(label(index))
    for index in range(members):
        assert enter(made, index) is None
        made.leave(label(index))
