"""How far a claim is."""

import statistics

from hypothesis import given
from hypothesis import strategies as st

from controller.demand import Claim
from controller.progress import Serving, Status, of_claim, seconds_to_expect, status, usd_per_hour
from controller.slots import Slot, State

states = st.sampled_from(State)
servings = st.lists(
    st.builds(
        Serving,
        st.builds(Slot, st.integers(0, 9), states, usd_per_hour=st.none() | st.floats(0.01, 9)),
        st.none() | st.just("https://192.0.2.1:8443"),
        st.floats(0, 500),
    ),
    max_size=4,
)
boots = st.lists(st.floats(1, 600), max_size=8)


def claim(count: int) -> Claim:
    return Claim("c-1", "burst", count, 1000.0, "ci")


@given(servings, st.integers(1, 4), st.none() | st.floats(0, 2000), st.floats(0, 2000))
def test_a_claim_is_ready_with_all_its_endpoints_and_ended_once_it_is_over(
    found: list[Serving], count: int, ended_at: float | None, wall: float
) -> None:
    answering = [one for one in found if one.slot.state is State.READY and one.endpoint]
    told = status(claim(count), ended_at, found, wall)

    assert (told is Status.ENDED) == (ended_at is not None or wall >= 1000)
    if told is not Status.ENDED:
        assert (told is Status.READY) == (len(answering) >= count)


@given(servings, st.integers(1, 4), boots)
def test_a_wait_is_never_negative_and_unknown_without_a_boot_that_took_as_long(
    found: list[Serving], count: int, before: list[float]
) -> None:
    wait = seconds_to_expect(claim(count), found, before)
    waiting = [one for one in found if not one.serves]
    missing = count - len(found)
    if wait is None:
        assert waiting or missing > 0
        assert not before or any(one.seconds >= max(before) for one in waiting)
        return
    assert wait >= 0
    if not waiting and missing <= 0:
        assert wait == 0
    if missing > 0:
        assert wait >= statistics.median(before)


def test_a_slot_that_boots_has_the_rest_of_a_boot_to_come() -> None:
    booting = Serving(Slot(0, State.RENTING), None, 50.0)
    assert seconds_to_expect(claim(1), [booting], [60.0, 80.0, 40.0]) == 20.0
    assert seconds_to_expect(claim(1), [booting], [40.0]) is None
    assert seconds_to_expect(claim(1), [], [40.0]) == 40.0


@given(servings)
def test_a_price_is_the_sum_of_known_prices_or_unknown(found: list[Serving]) -> None:
    prices = [one.slot.usd_per_hour for one in found]
    told = usd_per_hour(found)
    assert told == (None if not prices or None in prices else sum(price for price in prices if price is not None))


def test_the_slots_of_a_claim_are_those_that_name_it() -> None:
    slots = [Slot(2, State.READY, claim="c-1"), Slot(0, State.RENTING, claim="c-1"), Slot(1, State.READY, claim="c-2")]
    found = of_claim(slots, "c-1", {2: ("https://a", 5.0)})
    assert [(one.slot.index, one.endpoint, one.seconds) for one in found] == [(0, None, 0.0), (2, "https://a", 5.0)]
