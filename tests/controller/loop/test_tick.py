"""The shipped loop over a world in memory: what one tick does, and in which order."""

import pytest

from config.elastic import Elastic
from controller.demand import Claim
from controller.ports import MarketStatus, SlotId, WorldUnavailable
from controller.slots import Slot, State
from controller.store.errors import StoreDown
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
    return world.rows.get(SlotId(fleet, index), Slot(index)).state


def test_a_claim_is_served_and_its_slot_leaves_after_it_was_given_back(world: SmallWorld) -> None:
    loop = world.loop()
    claim(world)

    world.tick(loop)
    assert state(world, 0) is State.RENTING
    world.life[SlotId("burst", 0)] = MarketStatus.THERE
    world.host(SlotId("burst", 0), 0)
    world.tick(loop)
    assert world.rows[SlotId("burst", 0)].claim == "c1"
    assert (state(world, 0), world.endpoints) == (State.READY, {SlotId("burst", 0): "https://burst-0"})

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
    assert (state(world, 0), world.rows[SlotId("burst", 0)].claim) == (State.RENTING, "c1")

    world.finish()
    world.tick(loop)

    assert world.rows[SlotId("burst", 0)].claim == "c1"
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

    with pytest.raises(WorldUnavailable):
        world.tick(loop)
    assert state(world, 0) is State.READY


def test_a_table_that_does_not_answer_decides_nothing_until_it_does(world: SmallWorld) -> None:
    place = world.place(0, State.LEAVING)
    claim(world)
    slots = world.slots

    def down(_fleet: str) -> tuple[Slot, ...]:
        raise StoreDown("PostgreSQL does not answer")

    world.slots = down  # type: ignore[method-assign, assignment]
    loop = world.loop()
    with pytest.raises(StoreDown):
        world.tick(loop)
    assert (world.acts, world.rows[place].state) == ([], State.LEAVING)

    world.slots = slots  # type: ignore[method-assign]
    world.tick(loop)
    assert world.rows[place].state is State.READY


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
