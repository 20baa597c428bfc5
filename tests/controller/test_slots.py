"""A slot's life has few ways; failing ones wait longer each time, and no clock set back makes them wait for ever."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.slots import CAPACITY, Impossible, Slot, SlotEvent, State, advance, cool_until, set_back

T = 1_700_000_000.0


def lived(*events: SlotEvent, slot: Slot = Slot(3)) -> Slot:  # noqa: B008 -- frozen
    for event in events:
        slot = advance(slot, event, T, 0.4)
    return slot


def test_a_slot_lives_from_absent_to_absent() -> None:
    ended = lived(
        SlotEvent.RENT,
        SlotEvent.SERVED,
        SlotEvent.LEAVE,
        SlotEvent.REOPEN,
        SlotEvent.LEAVE,
        SlotEvent.END,
        SlotEvent.GONE,
    )

    assert ended == Slot(3, State.ABSENT, version=7)


def test_what_ends_cannot_come_back() -> None:
    with pytest.raises(Impossible, match="slot 3 is ending, and cannot reopen"):
        lived(SlotEvent.RENT, SlotEvent.SERVED, SlotEvent.LEAVE, SlotEvent.END, SlotEvent.REOPEN)


def test_every_change_raises_the_version_and_only_capacity_keeps_a_claim() -> None:
    changes = 0
    for state, event in product(State, SlotEvent):
        before = Slot(0, state, version=5, claim="c")
        try:
            after = advance(before, event, T)
        except Impossible:
            continue
        changes += 1
        assert after.version == 6
        assert (after.claim is None) == (after.state not in CAPACITY)
    assert changes > 10


def test_every_state_that_is_paid_leads_to_absent() -> None:
    reached = {State.ABSENT}
    for _step in State:
        reached |= {state for state, event in product(State, SlotEvent) if _after(state, event) in reached}
    assert reached == set(State)


def _after(state: State, event: SlotEvent) -> State | None:
    try:
        return advance(Slot(0, state), event, T).state
    except Impossible:
        return None


def test_a_slot_that_fails_waits_1_2_4_minutes_and_an_hour_at_most() -> None:
    waits = [cool_until(Slot(0, failures=failures, failed_at=T)) - T for failures in (1, 2, 3, 7, 500)]

    assert waits == [60, 120, 240, 3600, 3600]
    assert cool_until(Slot(0)) <= T


def test_serving_forgets_failures_and_an_end_does_not() -> None:
    failed = lived(SlotEvent.RENT, SlotEvent.BROKE, SlotEvent.END, SlotEvent.GONE)

    assert (failed.failures, failed.failed_at) == (1, T)
    assert lived(SlotEvent.RENT, SlotEvent.SERVED, slot=failed).failures == 0


def test_only_what_died_is_dead() -> None:
    assert lived(SlotEvent.RENT, SlotEvent.DIED, SlotEvent.END).dead
    assert not lived(SlotEvent.RENT, SlotEvent.BROKE, SlotEvent.END).dead
    assert lived(SlotEvent.RENT, SlotEvent.BROKE, SlotEvent.END, SlotEvent.DIED).state is State.ENDING
    assert lived(SlotEvent.RENT, SlotEvent.BROKE, SlotEvent.END, SlotEvent.DIED).dead
    assert not lived(SlotEvent.RENT, SlotEvent.DIED, SlotEvent.END, SlotEvent.GONE).dead


@given(st.floats(-1e7, 1e7))
def test_no_jump_of_the_clock_makes_a_slot_wait_longer_than_its_cool_off(jump: float) -> None:
    slot = Slot(0, failures=2, failed_at=T)
    slot = set_back(slot, T + jump) or slot

    assert cool_until(slot) - (T + jump) <= 120
