"""An edit of the config reaches slots in waves, and cuts no request."""

import pytest

from config.elastic import Elastic
from config.rollout import RolloutConfig
from controller.leaving import Gate
from controller.ports import MarketStatus, SlotId, UpResult
from controller.slots import Slot, SlotEvent, State, advance
from tests.controller.loop.test_tick import state
from tests.doubles.elastic.small_world import SmallWorld


@pytest.fixture
def world() -> SmallWorld:
    world = SmallWorld(fleets={"burst": Elastic(min=2, max=2)})
    world.made = {world.place(index, State.READY): "old" for index in range(2)}
    return world


def row(world: SmallWorld, index: int) -> Slot:
    return world.rows[SlotId("burst", index)]


def test_an_edit_reaches_slots_in_waves_and_those_of_which_nothing_is_known_are_left_alone(world: SmallWorld) -> None:
    world.fleets["burst"] = Elastic(min=3, max=3)
    world.place(2, State.READY)
    loop = world.loop()

    world.tick(loop)
    assert world.acts == ["closed burst-0", "up burst-0"]
    for _tick in range(4):
        world.tick(loop)

    assert world.acts == ["closed burst-0", "up burst-0", "closed burst-1", "up burst-1"]
    assert {state(world, index) for index in range(3)} == {State.READY}
    assert [row(world, index).follows for index in range(3)] == [None] * 3


def end_the_request_once_closed(world: SmallWorld, place: SlotId) -> None:
    """Let the request under way end while the controller waits behind the closed gate, and no update have begun by then."""
    pauses = world.clock.sleep

    def passes(seconds: float) -> None:
        pauses(seconds)
        if seconds > 1 and world.hosts[place].look.gate is Gate.CLOSED:
            assert "up burst-0" not in world.acts
            world.host(place, 0, Gate.CLOSED, "1")

    world.clock.sleep = passes  # type: ignore[method-assign]


def test_a_request_under_way_ends_before_its_host_changes(world: SmallWorld) -> None:
    place = SlotId("burst", 0)
    world.host(place, 1)
    end_the_request_once_closed(world, place)
    world.tick(world.loop())

    assert world.acts == ["closed burst-0", "up burst-0"]
    assert world.hosts[place].look.admitted == "1"


def test_a_change_that_failed_leaves_the_rest_as_it_is_also_under_the_next_controller(world: SmallWorld) -> None:
    world.came[SlotId("burst", 0)] = UpResult(False, False, None, "vLLM refuses its arguments")
    for loop in (world.loop(), world.loop()):
        for _tick in range(5):
            world.tick(loop)

    assert "up burst-1" not in world.acts
    assert state(world, 1) is State.READY
    assert (row(world, 0).follows, row(world, 0).failures > 0) == ("new", True)


def test_the_rest_goes_on_once_a_slot_serves_by_the_edit(world: SmallWorld) -> None:
    place = SlotId("burst", 0)
    world.came[place] = UpResult(False, False, None, "vLLM refuses its arguments")
    loop = world.loop()
    for _tick in range(5):
        world.tick(loop)
    del world.came[place]
    for _tick in range(20):
        world.tick(loop)
        world.life[place] = MarketStatus.THERE
        if state(world, 0) is State.READY and place not in world.hosts:
            world.host(place, 0)

    assert (state(world, 0), row(world, 0).follows) == (State.READY, None)
    assert world.made == {place: "new", SlotId("burst", 1): "new"}


def test_a_change_that_fails_after_another_slot_served_by_the_edit_holds_up_the_rest(world: SmallWorld) -> None:
    """The controller learns of both in one turn, of the failure first."""
    world.fleets["burst"] = Elastic(min=3, max=3)
    world.made[world.place(2, State.READY)] = "old"
    world.rollout, world.slow = RolloutConfig(max_unavailable="2"), True
    world.came[SlotId("burst", 0)] = UpResult(False, False, None, "vLLM refuses its arguments")
    loop = world.loop()
    world.tick(loop)
    world.begun.reverse()
    world.finish()
    assert [task.run_end.event for task, _steps in world.begun if task.run_end] == [SlotEvent.SERVED, SlotEvent.BROKE]

    world.slow = False
    for _tick in range(5):
        world.tick(loop)

    assert "up burst-2" not in world.acts
    assert (row(world, 0).follows, row(world, 1).follows, world.made[SlotId("burst", 2)]) == ("new", None, "old")


def test_a_slot_that_came_back_while_its_process_was_held_up_stays_open(world: SmallWorld) -> None:
    place = SlotId("burst", 0)
    world.slow = True
    world.tick(world.loop())
    [(_task, steps)] = world.begun
    for _pause in range(5):
        next(steps)
    assert (row(world, 0).follows, world.acts) == ("new", [])

    back = advance(advance(row(world, 0), SlotEvent.LEAVE, 0.0), SlotEvent.REOPEN, 0.0)
    world.rows[place] = back
    world.finish()

    assert (world.acts, world.hosts[place].look.gate, row(world, 0)) == ([], Gate.OPEN, back)


def test_a_change_that_was_cut_short_goes_on_before_another_begins(world: SmallWorld) -> None:
    world.slow = True
    loop = world.loop()
    world.tick(loop)
    [(_task, steps)] = world.begun
    for _pause in range(6):
        next(steps)
    assert row(world, 0).follows == "new"
    steps.close()  # its controller is killed

    world.slow = False
    world.host(SlotId("burst", 0), 0, Gate.CLOSED)
    world.tick(world.loop())

    assert world.acts[-1] == "up burst-0"
    assert "up burst-1" not in world.acts


def test_a_slot_that_follows_already_stays_open(world: SmallWorld) -> None:
    """What the process knew was older: a person ran its `up`."""
    del world.rows[SlotId("burst", 1)]
    world.fleets["burst"] = Elastic(min=1, max=1)
    read = world.made_of

    def newer(place: SlotId) -> object:
        world.made[place] = "new"
        return read(place)

    world.made_of = newer  # type: ignore[method-assign, assignment]
    world.tick(world.loop())

    assert world.acts == []


def test_a_slot_that_serves_unknown_to_its_row_is_not_restarted_under_a_request(world: SmallWorld) -> None:
    """Its controller was killed before it wrote `ready`, and the config was edited since."""
    place = SlotId("burst", 0)
    world.fleets["burst"] = Elastic(min=1, max=1)
    world.rows = {place: Slot(0, State.RENTING, 1)}
    world.host(place, 1)
    end_the_request_once_closed(world, place)
    world.tick(world.loop())

    assert world.acts[:2] == ["closed burst-0", "up burst-0"]
