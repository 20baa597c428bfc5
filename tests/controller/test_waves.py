"""Slots follow an edit in waves: never more than may be down at once, all of them in the end, none after a failure."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.rollout import RolloutConfig
from controller.leaving import Gate
from controller.reasons import Rule
from controller.slots import Slot, SlotEvent, State, advance
from controller.waves import Wave, crowded, next_wave, refused

NEW, OLD = "new", "old"
ONE = RolloutConfig()
rollouts = st.one_of(st.integers(1, 5).map(str), st.integers(1, 100).map("{}%".format)).map(
    lambda text: RolloutConfig(max_unavailable=text)
)
states = st.sampled_from(list(State))
rows = st.builds(Slot, st.just(0), states, follows=st.sampled_from([None, None, NEW, OLD]), failures=st.integers(0, 1))
fleets = st.lists(st.tuples(rows, st.sampled_from([NEW, OLD, None])), max_size=12)
Fleet = list[tuple[Slot, str | None]]


def made(fleet: Fleet) -> tuple[list[Slot], dict[int, str]]:
    slots = [replace(slot, index=index) for index, (slot, _) in enumerate(fleet)]
    slots = [replace(slot, failures=0) if slot.state is State.READY else slot for slot in slots]
    return slots, {index: digest for index, (_, digest) in enumerate(fleet) if digest is not None}


@given(fleets, rollouts, st.dictionaries(st.integers(0, 11), st.sampled_from(Gate)))
def test_a_wave_takes_only_slots_that_serve_by_an_older_digest_and_no_more_than_may_be_down(
    fleet: Fleet, rollout: RolloutConfig, gates: dict[int, Gate]
) -> None:
    slots, digests = made(fleet)
    ready = {slot.index for slot in slots if slot.state is State.READY}
    begun = {slot.index for slot in slots if slot.changes}

    wave = next_wave(slots, NEW, digests, rollout, gates)

    fresh = set(wave.starts) - begun
    assert begun <= set(wave.starts) <= ready
    assert all(digests.get(index) != NEW for index in fresh)
    older = {index for index in ready - begun if digests.get(index) != NEW}
    if fresh:
        closed = {index for index in older if gates.get(index) is Gate.CLOSED}
        down = begun | fresh | {index for index in ready if gates.get(index) is not Gate.OPEN} - closed
        assert len(down) <= rollout.most_down(len(ready))
        assert not refused(slots, NEW)
    assert (wave.reason is None) == (not older)
    assert wave.reason is None or wave.reason.rule is Rule.WAVE


@given(st.integers(1, 12), rollouts, st.randoms(use_true_random=False))
def test_in_the_end_every_slot_has_followed_and_at_no_moment_were_more_down(
    count: int, rollout: RolloutConfig, random: Random
) -> None:
    slots = [Slot(index, State.READY) for index in range(count)]
    digests, rounds = dict.fromkeys(range(count), OLD), 0
    while set(digests.values()) != {NEW}:
        for index in next_wave(slots, NEW, digests, rollout).starts:
            slots[index] = replace(slots[index], follows=NEW)
        down = [slot.index for slot in slots if slot.follows]
        assert 0 < len(down) <= rollout.most_down(count)
        done = random.choice(down)
        slots[done] = advance(slots[done], SlotEvent.SERVED, 0.0)
        digests[done] = NEW
        rounds += 1

    assert rounds == count
    assert next_wave(slots, NEW, digests, rollout) == Wave()


def test_after_a_failure_the_rest_stays_as_it_is_until_that_slot_serves_or_another_edit_comes() -> None:
    broke = advance(Slot(0, State.READY, follows=NEW), SlotEvent.BROKE, 0.0)
    ended = advance(advance(broke, SlotEvent.END, 0.0), SlotEvent.GONE, 0.0)
    again = advance(ended, SlotEvent.RENT, 0.0)
    for row in (broke, ended, again):
        slots = [row, Slot(1, State.READY)]
        wave = next_wave(slots, NEW, {1: OLD}, ONE)
        assert wave.starts == ()
        assert wave.reason is not None
        assert wave.reason.says == "the change of slot 0 failed, so slot 1 stay as they are"

    assert next_wave([ended, Slot(1, State.READY)], "newer", {1: OLD}, ONE).starts == (1,)
    served = advance(again, SlotEvent.SERVED, 0.0)
    assert next_wave([served, Slot(1, State.READY)], NEW, {0: NEW, 1: OLD}, ONE).starts == (1,)


def test_what_was_begun_goes_on_before_another_one_begins() -> None:
    slots = [Slot(0, State.READY), Slot(1, State.READY, follows="another edit")]

    assert next_wave(slots, NEW, {0: OLD, 1: OLD}, ONE).starts == (1,)


def test_a_slot_without_a_claim_follows_first_and_the_reason_names_it() -> None:
    slots = [Slot(0, State.READY, claim="c"), Slot(1, State.READY), Slot(2, State.RENTING)]

    wave = next_wave(slots, NEW, {0: OLD, 1: OLD}, ONE)

    assert wave.starts == (1,)
    assert wave.reason is not None
    assert wave.reason.says == "2 slots are of an older config; slot 1 follow"


def test_a_slot_behind_a_closed_gate_follows_first_and_one_that_has_followed_takes_room() -> None:
    slots = [Slot(0, State.READY), Slot(1, State.READY)]

    one = {0: Gate.OPEN, 1: Gate.CLOSED}
    assert next_wave(slots, NEW, {0: OLD, 1: OLD}, ONE, one).starts == (1,)
    assert next_wave(slots, NEW, {0: OLD, 1: OLD}, ONE, {0: Gate.OPEN}).starts == ()
    waits = next_wave(slots, NEW, {0: OLD, 1: NEW}, ONE, one)
    assert waits.starts == ()
    assert waits.reason is not None
    assert waits.reason.says == "0 slots change and 1 are closed; 1 may be down at once"


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (Slot(1, State.READY), ""),
        (Slot(1, State.READY, follows=OLD), "2 slots would be down at once, and 1 may be"),
        (Slot(1, State.FAILED), ""),
        (Slot(1, State.ABSENT, follows=NEW, failures=1), "the change of slot 1 failed meanwhile"),
    ],
)
def test_two_controllers_take_down_no_more_than_one(other: Slot, says: str) -> None:
    meant = Slot(0, State.READY)

    why = crowded([replace(meant, follows=NEW), other], NEW, ONE)

    assert (why.says if why else "") == says
