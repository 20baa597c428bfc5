"""The shipped loop over a world in memory: what one tick does, and in which order."""

import pytest

from config.elastic import Elastic
from controller.demand import Claim
from controller.leaving import Gate
from controller.ports import Came, Life, Place, Unavailable
from controller.slots import Slot, State
from tests.doubles.elastic.small_world import Lock, SmallWorld

BURST = Elastic(max=2, requests_per_instance=4, down_seconds=60, idle_seconds=120)


@pytest.fixture
def world() -> SmallWorld:
    return SmallWorld(fleets={"burst": BURST})


def claim(world: SmallWorld, count: int = 1, fleet: str = "burst", minutes: float = 60) -> Claim:
    made = Claim("c1", fleet, count, world.clock.time() + 60 * minutes, "ann")
    world.asked.append(made)
    return made


def state(world: SmallWorld, index: int, fleet: str = "burst") -> State:
    return world.rows.get(Place(fleet, index), Slot(index)).state


def test_a_claim_is_served_and_its_slot_leaves_after_it_was_given_back(world: SmallWorld) -> None:
    loop = world.loop()
    claim(world)

    world.tick(loop)
    assert state(world, 0) is State.RENTING
    world.life[Place("burst", 0)] = Life.THERE
    world.host(Place("burst", 0), 0)
    world.tick(loop)
    assert world.rows[Place("burst", 0)].claim == "c1"
    assert (state(world, 0), world.endpoints) == (State.READY, {Place("burst", 0): "https://burst-0"})

    world.asked.clear()
    for _tick in range(20):
        world.tick(loop)
    assert state(world, 0) is State.ABSENT
    assert world.acts == ["up burst-0", "closed burst-0", "destroy burst-0"]
    assert [note for note in world.notes if "burst-0: rent" in note] == [
        "burst-0: rent: 1 are missing; 0 is the lowest free index; claims ask for 1"
    ]


def test_a_claim_that_is_bound_while_its_slot_boots_makes_it_boot_no_second_time(world: SmallWorld) -> None:
    world.fleets["burst"] = Elastic(min=1, max=1)
    world.slow = True
    loop = world.loop()
    world.tick(loop)
    world.go_on()  # it has begun, and boots
    claim(world)
    world.tick(loop)
    assert (state(world, 0), world.rows[Place("burst", 0)].claim) == (State.RENTING, "c1")

    world.finish()
    world.tick(loop)

    assert world.rows[Place("burst", 0)].claim == "c1"
    assert (state(world, 0), world.acts) == (State.READY, ["up burst-0"])


def test_a_row_is_written_before_its_stack_is_run(world: SmallWorld) -> None:
    world.stuck = True
    claim(world)

    world.tick(world.loop())

    assert state(world, 0) is State.RENTING
    assert world.acts == []


def test_a_slot_process_that_is_left_over_does_nothing(world: SmallWorld) -> None:
    world.lock = Lock(taken=False)
    claim(world)

    world.tick(world.loop())

    assert world.acts == []
    assert state(world, 0) is State.RENTING


def test_a_lock_that_was_lost_meanwhile_destroys_nothing(world: SmallWorld) -> None:
    world.place(0, State.ENDING)
    world.lock = Lock(kept=False)
    loop = world.loop()

    for _tick in range(3):
        world.tick(loop)

    assert "destroy burst-0" not in world.acts
    assert state(world, 0) is State.ENDING


def test_what_the_market_did_not_confirm_is_not_absent(world: SmallWorld) -> None:
    place = world.place(0, State.ENDING)
    world.confirmed = False
    loop = world.loop()
    for _tick in range(3):
        world.tick(loop)
    assert state(world, 0) is State.ENDING

    world.confirmed = True
    for _tick in range(2):
        world.tick(loop)
    assert world.rows[place].state is State.ABSENT


def test_bounds_that_are_unknown_decide_nothing(world: SmallWorld) -> None:
    world.place(0, State.READY)
    world.unknown = True
    loop = world.loop()

    with pytest.raises(Unavailable):
        world.tick(loop)
    assert state(world, 0) is State.READY


def test_a_process_that_does_not_lead_does_nothing(world: SmallWorld) -> None:
    world.leading = False
    claim(world)

    world.tick(world.loop())

    assert world.rows == {}


def test_a_process_that_loses_its_lead_between_decision_and_act_does_nothing_more(world: SmallWorld) -> None:
    claim(world)
    decided = world.decided

    def loses(*told: object) -> None:
        world.leading = False
        decided(*told)  # type: ignore[arg-type]

    world.decided = loses  # type: ignore[method-assign, assignment]
    world.tick(world.loop())

    assert state(world, 0) is State.ABSENT
    assert "burst: dropped: this process lost its lead since it looked" in world.notes


def test_a_slow_slot_of_one_fleet_holds_up_no_other(world: SmallWorld) -> None:
    world.fleets["other"] = BURST
    claim(world)
    claim(world, fleet="other")

    world.tick(world.loop())

    assert (state(world, 0), state(world, 0, "other")) == (State.RENTING, State.RENTING)


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


def test_an_instance_that_is_gone_loses_its_stack_and_counts_as_no_failure(world: SmallWorld) -> None:
    place = world.place(0, State.READY)
    world.life[place] = Life.GONE
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
    world.lives = lambda places, *, fresh=False: lives(places) if fresh else {place: Life.GONE}  # type: ignore[method-assign]
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

    world.life[place] = Life.DEAD
    for _tick in range(6):
        world.tick(loop)
    assert state(world, 0) is State.READY
    world.tick(loop)
    assert world.rows[place].dead
    assert any("burst-0: died" in note for note in world.notes)


def test_a_market_that_names_a_failure_ends_no_host_that_answers(world: SmallWorld) -> None:
    world.fleets["burst"] = Elastic(min=1, max=1)
    place = world.place(0, State.READY)
    world.life[place] = Life.DEAD
    loop = world.loop()

    for _tick in range(30):
        world.tick(loop)

    assert state(world, 0) is State.READY


def test_a_failed_up_cools_off_and_what_it_left_is_cleared(world: SmallWorld) -> None:
    world.came[Place("burst", 0)] = Came(False, True, None, "no offer fits")
    loop = world.loop()
    claim(world)

    for _tick in range(3):
        world.tick(loop)

    assert world.rows[Place("burst", 0)].failures == 1
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


def test_an_edit_reaches_slots_in_waves_and_those_of_which_nothing_is_known_are_left_alone(world: SmallWorld) -> None:
    world.fleets["burst"] = Elastic(min=3, max=3)
    for index in range(3):
        world.place(index, State.READY)
    world.made_of = {Place("burst", 0): "old", Place("burst", 1): "old"}
    loop = world.loop()

    world.tick(loop)
    assert world.acts == ["up burst-0"]
    for _tick in range(4):
        world.tick(loop)

    assert world.acts == ["up burst-0", "up burst-1"]
    assert {state(world, index) for index in range(3)} == {State.READY}


def test_a_change_that_failed_leaves_the_rest_as_it_is(world: SmallWorld) -> None:
    world.fleets["burst"] = Elastic(min=2, max=2)
    world.made_of = {world.place(0, State.READY): "old", world.place(1, State.READY): "old"}
    world.came[Place("burst", 0)] = Came(False, False, None, "vLLM refuses its arguments")
    loop = world.loop()

    for _tick in range(5):
        world.tick(loop)

    assert "up burst-1" not in world.acts
    assert state(world, 1) is State.READY
