"""Slots follow an edit in waves: never more than may be down at once, all of them in the end, none after a failure."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from config.rollout import RolloutConfig
from controller.reasons import Rule
from controller.slots import Slot, State
from controller.waves import Wave, next_wave

NEW, OLD = "new", "old"
rollouts = st.one_of(st.integers(1, 5).map(str), st.integers(1, 100).map("{}%".format)).map(
    lambda text: RolloutConfig(max_unavailable=text)
)
states = st.sampled_from(list(State))
fleets = st.lists(st.tuples(states, st.sampled_from([NEW, OLD, None])), max_size=12)


def made(fleet: list[tuple[State, str | None]]) -> tuple[list[Slot], dict[int, str]]:
    slots = [Slot(index, state) for index, (state, _) in enumerate(fleet)]
    return slots, {index: digest for index, (_, digest) in enumerate(fleet) if digest is not None}


@given(fleets, rollouts, st.data())
def test_a_wave_takes_only_slots_that_serve_by_an_older_digest_and_no_more_than_may_be_down(
    fleet: list[tuple[State, str | None]], rollout: RolloutConfig, data: st.DataObject
) -> None:
    slots, digests = made(fleet)
    ready = [slot.index for slot in slots if slot.state is State.READY]
    changing = frozenset(data.draw(st.sets(st.sampled_from(ready)) if ready else st.just(set[int]())))

    wave = next_wave(slots, NEW, digests, rollout, changing)

    assert all(slots[index].state is State.READY and digests.get(index) != NEW for index in wave.starts)
    assert not changing & set(wave.starts)
    if wave.starts:
        broken = sum(slot.state is State.FAILED for slot in slots)
        assert len(changing) + len(wave.starts) + broken <= rollout.most_down(len(ready))
    older = [index for index in ready if index not in changing and digests.get(index) != NEW]
    assert (wave == Wave()) == (not older)
    assert wave.reason is None or wave.reason.rule is Rule.WAVE


@given(fleets, rollouts, st.sets(st.integers(0, 11), min_size=1))
def test_after_a_failure_the_rest_stays_as_it_is(
    fleet: list[tuple[State, str | None]], rollout: RolloutConfig, failed: set[int]
) -> None:
    slots, digests = made(fleet)

    assert next_wave(slots, NEW, digests, rollout, failed=failed).starts == ()


@given(st.integers(1, 12), rollouts, st.randoms(use_true_random=False))
def test_in_the_end_every_slot_has_followed_and_at_no_moment_were_more_down(
    count: int, rollout: RolloutConfig, random: Random
) -> None:
    slots = [Slot(index, State.READY) for index in range(count)]
    digests, changing, rounds = dict.fromkeys(range(count), OLD), set[int](), 0
    while set(digests.values()) != {NEW}:
        changing |= set(next_wave(slots, NEW, digests, rollout, frozenset(changing)).starts)
        assert 0 < len(changing) <= rollout.most_down(count)
        done = random.choice(sorted(changing))
        changing.remove(done)
        digests[done] = NEW
        rounds += 1

    assert rounds == count
    assert next_wave(slots, NEW, digests, rollout) == Wave()


def test_a_slot_without_a_claim_follows_first_and_the_reason_names_it() -> None:
    slots = [Slot(0, State.READY, claim="c"), Slot(1, State.READY), Slot(2, State.RENTING)]

    wave = next_wave(slots, NEW, {0: OLD, 1: OLD}, RolloutConfig())

    assert wave.starts == (1,)
    assert wave.reason is not None
    assert wave.reason.says == "2 slots are of an older config; slot 1 follow"


def test_a_broken_slot_takes_the_place_of_one_that_would_change() -> None:
    slots = [Slot(0, State.READY), Slot(1, State.FAILED)]

    wave = next_wave(slots, NEW, {0: OLD}, RolloutConfig())

    assert wave.starts == ()
    assert wave.reason is not None
    assert "0 slots change and 1 are broken; 1 may be down at once" in wave.reason.says
