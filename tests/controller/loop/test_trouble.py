"""What the loop does about trouble: fleets, hosts and instances that fail."""

from collections.abc import Mapping, Sequence

import pytest

from config.elastic import Elastic
from controller.leaving import Gate
from controller.money import Money
from controller.ports import MarketStatus, SlotId, UpResult
from controller.slots import Slot, State
from tests.controller.loop.test_tick import BURST, claim, state
from tests.doubles.elastic.small_world import SmallWorld


@pytest.fixture
def world() -> SmallWorld:
    return SmallWorld(fleets={"burst": BURST})


def test_trouble_in_one_fleet_does_not_reach_another(world: SmallWorld) -> None:
    world.fleets["a-broken"] = BURST
    claim(world)
    money = world.money

    def broken(fleet: str, *more: object) -> object:
        if fleet == "a-broken":
            raise RuntimeError("no purse")
        return money(fleet, *more)  # type: ignore[arg-type]

    world.money = broken  # type: ignore[method-assign, assignment]
    world.tick(world.loop())

    assert "fleet a-broken failed: no purse" in world.notes
    assert state(world, 0) is State.RENTING


def test_a_slot_that_leaves_does_not_end_while_another_host_does_not_tell_its_load(world: SmallWorld) -> None:
    """This controller knows nothing yet, and the one that chose the slot is dead."""
    silent = world.place(0, State.READY, requests=None)
    leaves = world.place(1, State.LEAVING)
    loop = world.loop()
    for _tick in range(5):
        world.tick(loop)
    assert (state(world, 1), world.hosts[leaves].look.gate) == (State.LEAVING, Gate.CLOSED)
    says = "burst: dropped: the load of slot 0 is unknown, so it may be wanted back"
    assert world.notes.count(says) == 1

    world.host(silent, 8)
    world.tick(loop)

    assert (state(world, 1), world.hosts[leaves].look.gate) == (State.READY, Gate.OPEN)


def test_a_slot_that_leaves_ends_once_the_load_is_known_and_needs_no_more(world: SmallWorld) -> None:
    silent, leaves = world.place(0, State.READY, requests=None), world.place(1, State.LEAVING)
    loop = world.loop()
    world.tick(loop)
    world.host(silent, 1)
    for _tick in range(3):
        world.tick(loop)

    assert state(world, 1) is State.ABSENT
    assert leaves not in world.hosts


def test_nothing_ends_in_a_turn_that_decided_nothing(world: SmallWorld) -> None:
    world.place(0, State.LEAVING)
    money = world.money

    def broken(*_asked: object) -> Money:
        raise RuntimeError("no purse")

    world.money = broken  # type: ignore[method-assign, assignment]
    loop = world.loop()
    for _tick in range(5):
        world.tick(loop)
    assert state(world, 0) is State.LEAVING

    world.money = money  # type: ignore[method-assign]
    for _tick in range(3):
        world.tick(loop)
    assert state(world, 0) is State.ABSENT


def test_an_instance_that_is_gone_loses_its_stack_and_counts_as_no_failure(world: SmallWorld) -> None:
    place = world.place(0, State.READY)
    world.life[place] = MarketStatus.GONE
    loop = world.loop()

    world.tick(loop)
    world.tick(loop)

    assert world.acts == ["destroy burst-0"]
    assert (world.rows[place].state, world.rows[place].failures) == (State.ABSENT, 0)


def test_an_instance_that_the_market_lists_again_is_left_alone(world: SmallWorld) -> None:
    """A tick may share a list that is older than the instance."""
    world.fleets["burst"] = Elastic(min=1, max=1)
    place = world.place(0, State.READY)
    lives = world.lives
    world.lives = lambda places, *, fresh=False: lives(places) if fresh else {place: MarketStatus.GONE}  # type: ignore[method-assign]
    loop = world.loop()

    for _tick in range(3):
        world.tick(loop)

    assert world.acts == []
    assert state(world, 0) is State.READY


def test_a_silent_host_is_dead_only_if_the_market_names_its_failure_for_as_long(world: SmallWorld) -> None:
    world.fleets["burst"] = Elastic(min=1, max=1)
    place = world.place(0, State.READY)
    del world.hosts[place]
    loop = world.loop()
    for _tick in range(30):
        world.tick(loop)
    assert state(world, 0) is State.READY

    world.life[place] = MarketStatus.DEAD
    for _tick in range(6):
        world.tick(loop)
    assert state(world, 0) is State.READY
    world.tick(loop)
    assert world.rows[place].dead
    assert any("burst-0: died" in note for note in world.notes)


def test_a_market_that_names_a_failure_ends_no_host_that_answers(world: SmallWorld) -> None:
    world.fleets["burst"] = Elastic(min=1, max=1)
    place = world.place(0, State.READY)
    world.life[place] = MarketStatus.DEAD
    loop = world.loop()

    for _tick in range(30):
        world.tick(loop)

    assert state(world, 0) is State.READY


def test_a_host_that_is_silent_may_be_elsewhere_so_its_slot_is_read_anew(world: SmallWorld) -> None:
    world.fleets["burst"] = Elastic(min=1, max=1)
    place = world.place(0, State.READY)
    loop = world.loop()
    world.tick(loop)
    assert world.doubted == [None]  # another process may have led before

    del world.hosts[place]
    for _tick in range(3):
        world.tick(loop)
    assert world.doubted == [None]
    world.tick(loop)
    assert world.doubted == [None, [place]]


def test_what_one_fleet_rents_is_a_part_of_the_next_ones_money(world: SmallWorld) -> None:
    world.fleets["other"] = BURST
    claim(world)
    asked = {}

    def money(fleet: str, applied: object, rows: Mapping[str, Sequence[Slot]]) -> Money:
        asked[fleet] = {name: [slot.state for slot in found] for name, found in rows.items()}
        return Money(0.5)

    world.money = money  # type: ignore[method-assign]
    world.tick(world.loop())

    assert asked["other"] == {"burst": [State.RENTING], "other": []}


def test_a_failed_up_cools_off_and_what_it_left_is_cleared(world: SmallWorld) -> None:
    world.came[SlotId("burst", 0)] = UpResult(False, True, None, "no offer fits")
    loop = world.loop()
    claim(world)

    for _tick in range(3):
        world.tick(loop)

    assert world.rows[SlotId("burst", 0)].failures == 1
    assert "burst-0: died: no offer fits" in world.notes


def test_slots_that_leave_are_drained_side_by_side(world: SmallWorld) -> None:
    world.fleets["burst"] = Elastic(max=0, down_seconds=0, idle_seconds=0)
    world.stuck = True  # what ends them runs beside the loop
    for index in range(20):
        world.place(index, State.LEAVING)
    loop = world.loop()
    before = world.clock.monotonic()

    world.tick(loop, 0.0)

    assert world.clock.monotonic() - before < 5.0
    assert {state(world, index) for index in range(20)} == {State.ENDING}


def test_a_closed_gate_of_a_slot_that_should_serve_is_mended(world: SmallWorld) -> None:
    world.fleets["burst"] = Elastic(min=1, max=1)
    place = world.place(0, State.READY)
    world.host(place, 0, Gate.CLOSED)
    loop = world.loop()

    for _tick in range(8):
        world.tick(loop)

    assert "up burst-0" in world.acts


def test_a_destroyed_stack_rents_nothing_and_clears_what_failed(world: SmallWorld) -> None:
    world.place(0, State.FAILED)
    world.place(1, State.READY)
    world.fleets.clear()
    claim(world)
    loop = world.loop()

    for _tick in range(3):
        world.tick(loop)

    assert (state(world, 0), state(world, 1)) == (State.ABSENT, State.READY)


def test_a_rent_that_the_bounds_do_not_want_any_more_is_withdrawn(world: SmallWorld) -> None:
    world.place(1, State.RENTING)
    world.fleets["burst"] = Elastic(max=1)
    loop = world.loop()

    world.tick(loop)
    world.tick(loop)

    assert "up burst-1" not in world.acts
    assert any("burst-1: withdrawn: slot 1 is beyond max" in note for note in world.notes)
