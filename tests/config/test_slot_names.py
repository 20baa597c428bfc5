"""A slot's stack has a name that no other slot has, that leads back to it, and that Pulumi takes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.reading import FLEET_NAME
from config.slot_names import LONGEST, SlotName, of_instance, parse, slot_stack

stacks = st.from_regex(r"[A-Za-z0-9_.-]{1,40}", fullmatch=True).filter(lambda name: parse(name) is None)
# What config takes, and so few letters that names often meet.
fleets = st.from_regex(r"[ab][a0]{0,2}(-[a0]{1,2}){0,3}", fullmatch=True)
indexes = st.integers(0, 499)


def test_dashes_do_not_make_two_slots_meet() -> None:
    assert slot_stack("dev-a", "b", 0) == "dev-a.slot.b-0"
    assert slot_stack("dev", "a-b", 0) == "dev.slot.a-b-0"


@given(stacks, fleets, indexes)
def test_a_name_leads_back_to_its_slot(stack: str, fleet: str, index: int) -> None:
    name = slot_stack(stack, fleet, index)

    assert parse(name) == SlotName(stack, fleet, index)
    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", name)


@given(stacks, fleets, indexes)
def test_the_name_of_its_instance_leads_to_it_and_one_of_a_fixed_fleet_to_none(
    stack: str, fleet: str, index: int
) -> None:
    slot = SlotName(stack, fleet, index)

    assert of_instance(stack, slot.instance) == of_instance(f"organization/gpu-fleet/{stack}", slot.instance) == slot
    for name in (f"{fleet}-{index}", f"{fleet}-s0{index}", f"{fleet}-s", f"-s{index}", ""):
        assert of_instance(stack, name) is None


@given(
    st.lists(
        st.tuples(st.sampled_from(["dev", "dev-a", "dev.slot", "dev.slot.a", "dev-a-0"]), fleets, st.integers(0, 11)),
        min_size=2,
        max_size=30,
        unique=True,
    )
)
def test_two_slots_never_share_a_name(slots: list[tuple[str, str, int]]) -> None:
    assert len({slot_stack(*slot) for slot in slots}) == len(slots)


@given(fleets)
def test_the_names_of_the_property_are_names_of_fleets(fleet: str) -> None:
    assert FLEET_NAME.match(fleet)


def test_the_longest_name_of_a_fleet_leaves_room_for_a_stack() -> None:
    assert len(slot_stack("s" * 47, "f" * 40, 499_999)) == LONGEST


@pytest.mark.parametrize(
    "name", ["dev", "dev.slot.chat", "dev.slot.chat-01", "dev.slot.Chat-1", ".slot.chat-1", "dev.chat-1"]
)
def test_other_names_are_no_slots(name: str) -> None:
    assert parse(name) is None


@pytest.mark.parametrize(
    ("stack", "fleet", "says"),
    [
        ("org/dev", "chat", "is no name of a stack"),
        ("", "chat", "is no name of a stack"),
        ("dev.slot.chat-0", "chat", "is the name of a slot's stack"),
        ("s" * 90, "chat", "the stack's name may have 88 here"),
        ("dev", "Chat", "makes no name of a slot"),
        ("dev", "a.slot.b", "makes no name of a slot"),
    ],
)
def test_a_name_that_would_lead_elsewhere_is_refused(stack: str, fleet: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        slot_stack(stack, fleet, 0)
