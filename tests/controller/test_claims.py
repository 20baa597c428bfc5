"""Each claim has slots of its own for as long as they serve; no slot serves two."""

from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.claims import assign
from controller.demand import Claim, live
from controller.slots import CAPACITY, Slot, State


def claim(name: str, count: int = 1, until: float = 100.0, fleet: str = "chat") -> Claim:
    return Claim(name, fleet, count, until, "ann")


def test_a_claim_takes_what_serves_before_what_boots_and_low_indexes_first() -> None:
    slots = [Slot(0, State.RENTING), Slot(1, State.READY), Slot(2, State.READY), Slot(3, State.LEAVING)]

    assert assign(slots, [claim("a"), claim("b", 2)]) == {1: "a", 2: "b", 0: "b"}


def test_a_slot_whose_claim_has_ended_is_free() -> None:
    assert assign([Slot(0, State.READY, claim="old"), Slot(1, State.READY, claim="a")], [claim("a")]) == {0: None}


def test_only_live_claims_on_the_fleet_count() -> None:
    claims = [claim("late", until=50), claim("b"), claim("other", fleet="embed"), claim("none", count=0), claim("a")]

    assert [one.id for one in live(claims, "chat", 50.0)] == ["a", "b"]


slots = st.lists(
    st.builds(Slot, st.integers(0, 7), st.sampled_from(State), claim=st.sampled_from([None, "a", "b", "c"])),
    max_size=8,
    unique_by=lambda slot: slot.index,
)
claims = st.lists(
    st.builds(claim, st.sampled_from("abcd"), st.integers(1, 3)), max_size=4, unique_by=lambda one: one.id
)


@given(slots, claims)
def test_assigning_settles_at_once_and_gives_each_claim_what_there_is(slots: list[Slot], claims: list[Claim]) -> None:
    changed = assign(slots, claims)
    after = [replace(slot, claim=changed.get(slot.index, slot.claim)) for slot in slots]
    able = [slot for slot in after if slot.state in CAPACITY]
    held: Counter[Any] = Counter(slot.claim for slot in able if slot.claim)

    assert assign(after, claims) == {}
    assert all(held[name] <= {one.id: one.count for one in claims}.get(name, 0) for name in held)
    assert sum(held.values()) == min(len(able), sum(one.count for one in claims))
    for before, now in zip(slots, after, strict=True):
        kept = before.claim in {one.id for one in claims} and now.claim != before.claim and before.state in CAPACITY
        assert not kept or held[before.claim] == next(one.count for one in claims if one.id == before.claim)
