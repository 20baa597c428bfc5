"""A stack ends with its slots, and a replacement of its rentals spares them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from providers.rentals.teardown import Teardown, end_rentals
from providers.vast.api.instance import Instance
from providers.vast.limits import Limits
from providers.vast.pulumi_state import StackState
from providers.vast.renting.renter import Renter
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer


@pytest.fixture
def market() -> FakeMarket:
    return FakeMarket(FakeClock())


def end(market: FakeMarket, reported: list[str], states: Sequence[StackState], drained: Any = None) -> None:
    """End the rentals; `drained` gets the stacks of the slots whose hosts are drained, with what is rented at that moment."""

    def drain(slots: Mapping[str, Instance]) -> None:
        if drained is not None:
            drained.append(({stack: one.id for stack, one in slots.items()}, sorted(market.rows)))

    end_rentals(
        Renter(market, market.clock, Limits()),
        Teardown(("abc",)),
        lambda: states,
        lambda phase, text: reported.append(f"{phase}: {text}"),
        drain=drain,
    )


def slot(number: int | None, name: str = "burst-s0", stack: str = "dev.slot.burst-0", **more: Any) -> StackState:
    instances = {} if number is None else {name: frozenset({number})}
    return StackState(stack, None, instances, labelled=frozenset({"abc"}), **more)


def test_a_stack_that_ends_ends_its_slots_known_or_being_created_or_in_a_state_that_cannot_be_read(
    market: FakeMarket,
) -> None:
    slots = [market.add(f"gpu-fleet/abc/burst-s{number}", offer(number)) for number in range(3)]
    foreign = market.add("gpu-fleet/other/burst-s0", offer(7))
    states = [
        StackState("organization/gpu-fleet/dev", "abc", rentals=1),
        slot(slots[0]),
        slot(None, stack="dev.slot.burst-1", creating=frozenset({"burst-s1"})),
        StackState("dev.slot.burst-2", trouble="failed to load checkpoint: EOF"),
    ]
    reported: list[str] = []
    drained: list[Any] = []

    end(market, reported, states, drained)

    assert drained == [({"dev.slot.burst-0": slots[0]}, sorted([*slots, foreign]))], "what serves, before anything goes"
    assert list(market.rows) == [foreign]
    assert reported[-1] == "confirm gone: nothing is rented under gpu-fleet/abc/ any more"


def test_what_a_slot_rents_while_the_stack_ends_goes_too() -> None:
    market = FakeMarket(FakeClock())
    market.add("gpu-fleet/abc/burst-s0", offer(1))
    states = [StackState("dev", "abc", rentals=1), slot(None, creating=frozenset({"burst-s0"}))]
    late = [2, 3]  # two more attempts

    def destroyed(truth: Any, number: int) -> Any:
        found = truth(number)
        if late:
            market.add("gpu-fleet/abc/burst-s0", offer(late.pop()))
        return found

    market.instead["destroy"] = destroyed

    end(market, [], states)

    assert market.rows == {}


@pytest.mark.parametrize("trouble", [None, "failed to load checkpoint: EOF"])
def test_a_replacement_of_the_rentals_spares_slots(market: FakeMarket, trouble: str | None) -> None:
    serving, booting = (market.add(f"gpu-fleet/abc/burst-s{number}", offer(number)) for number in range(2))
    lost = market.add("gpu-fleet/abc/chat-7", offer(7))
    one = StackState("dev.slot.burst-0", trouble=trouble) if trouble else slot(serving)
    two = slot(None, stack="dev.slot.burst-1", creating=frozenset({"burst-s1"}))

    drained: list[Any] = []
    end(market, [], [StackState("dev", "abc", rentals=2), one, two], drained)

    assert drained == []
    assert (sorted(market.rows), lost in market.rows) == ([serving, booting], False)


def test_the_rentals_of_a_slot_end_that_slot_alone(market: FakeMarket) -> None:
    dead = market.add("gpu-fleet/abc/burst-s0", offer(1))
    others = [market.add(f"gpu-fleet/abc/{name}", offer(2)) for name in ("burst-s1", "burst-s01", "chat-0")]
    own = slot(None, creating=frozenset({"burst-s0"}), rentals=1)

    end_rentals(
        Renter(market, market.clock, Limits()), Teardown(["abc"], None, "burst-s0"), lambda: [own], lambda *_: None
    )

    assert (sorted(market.rows), dead in market.rows) == (others, False)
