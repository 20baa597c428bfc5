"""Which slot starts, comes back, leaves or is cleared, and the reason that the ledger gets."""

from typing import Any

import pytest

from config.elastic import Elastic
from controller.demand import HostLoad, Queue, measure
from controller.plan import Act, Plan, plan, spared
from controller.reasons import Rule
from controller.slots import Slot, State

ELASTIC = Elastic(max=4, down_seconds=300)
T = 1_700_000_000.0
READY, RENTING, LEAVING, ENDING, FAILED = State.READY, State.RENTING, State.LEAVING, State.ENDING, State.FAILED


def acts(found: Plan) -> list[tuple[Act, int]]:
    return [(move.act, move.index) for move in found.moves]


def planned(desired: int, slots: list[Slot], seen: dict[int, HostLoad] | None = None, **bounds: Any) -> Plan:
    return plan(desired, ELASTIC.model_copy(update=bounds), slots, seen or {}, T)


def test_the_lowest_free_indexes_start() -> None:
    found = planned(3, [Slot(1, READY)])

    assert acts(found) == [(Act.START, 0), (Act.START, 2)]
    assert found.moves[0].reason.says == "2 are missing; 0 is the lowest free index"


def test_a_booting_slot_is_capacity() -> None:
    assert planned(2, [Slot(0, READY), Slot(1, RENTING)]).moves == ()


def test_no_instance_leaves_for_one_that_only_boots() -> None:
    slots = [Slot(0, READY), Slot(1, RENTING)]

    assert planned(1, slots, {0: HostLoad(0, 900)}).moves == ()


def test_what_leaves_comes_back_before_another_starts() -> None:
    slots = [Slot(0, READY), Slot(1, LEAVING), Slot(2, LEAVING), Slot(3, ENDING)]

    assert acts(planned(2, slots, {1: HostLoad(0), 2: HostLoad(3)})) == [(Act.REOPEN, 2)]
    assert acts(planned(4, slots)) == [(Act.REOPEN, 1), (Act.REOPEN, 2)]


def test_a_slot_whose_host_lets_nobody_open_its_gate_does_not_come_back() -> None:
    slots = [Slot(0, LEAVING), Slot(1, LEAVING)]
    seen = {0: HostLoad(0), 1: HostLoad(5, opens=False)}

    assert acts(planned(1, slots, seen)) == [(Act.REOPEN, 0)]
    assert acts(planned(2, slots, seen)) == [(Act.REOPEN, 0), (Act.START, 2)]


def test_what_ends_and_what_failed_takes_room_until_it_is_gone() -> None:
    found = planned(4, [Slot(0, READY), Slot(1, READY), Slot(2, ENDING), Slot(3, FAILED, failures=1, failed_at=T)])

    assert acts(found) == [(Act.CLEAR, 3)]
    assert [reason.rule for reason in found.held] == [Rule.NO_ROOM]


def test_a_slot_that_failed_cools_off_and_another_index_starts() -> None:
    cooling, cooled = Slot(0, failures=2, failed_at=T - 119), Slot(0, failures=2, failed_at=T - 121)

    assert acts(planned(1, [cooling])) == [(Act.START, 1)]
    assert acts(planned(1, [cooled])) == [(Act.START, 0)]


def test_three_that_fail_stop_further_ones_but_not_their_own_next_try() -> None:
    failing = [Slot(index, failures=1, failed_at=T - 30 * index) for index in range(3)]
    found = planned(4, failing)

    assert acts(found) == [(Act.START, 2)]
    assert [reason.rule for reason in found.held] == [Rule.COOL_OFF, Rule.BREAKER]


def test_of_a_stack_that_is_destroyed_only_what_failed_is_cleared() -> None:
    slots = [Slot(0, READY), Slot(1, FAILED, failures=1, failed_at=T), Slot(2, LEAVING)]

    assert acts(plan(0, None, slots, {0: HostLoad(0, 900)}, T)) == [(Act.CLEAR, 1)]


def test_an_idle_one_leaves_before_a_busy_one_then_the_dearest_then_the_highest() -> None:
    slots = [Slot(index, READY, usd_per_hour=price) for index, price in enumerate([0.5, 0.3, 0.4, 0.4])]
    seen = {0: HostLoad(1, 0), 1: HostLoad(0, 900), 2: HostLoad(0, 900), 3: HostLoad(0, 10)}
    found = planned(0, slots, seen)

    assert acts(found) == [(Act.LEAVE, 3), (Act.LEAVE, 2), (Act.LEAVE, 1), (Act.LEAVE, 0)]
    assert [move.strict for move in found.moves] == [False, True, True, False]
    assert found.moves[1].reason.says == "4 serve and 0 are wanted; slot 2 has 0 requests at $0.400/h"


def test_one_beyond_the_bounds_leaves_first() -> None:
    slots = [Slot(0, READY), Slot(5, READY)]

    assert acts(planned(1, slots, {0: HostLoad(0, 900), 5: HostLoad(4, 0)})) == [(Act.LEAVE, 5)]


@pytest.mark.parametrize(
    ("slot", "look"),
    [
        (Slot(0, READY, claim="c"), HostLoad(0, 900)),
        (Slot(0, READY), HostLoad(None)),
        (Slot(0, READY), HostLoad(0, 900, age_seconds=61)),
    ],
)
def test_a_claimed_one_and_one_that_does_not_tell_stay(slot: Slot, look: HostLoad) -> None:
    found = planned(0, [slot], {0: look})

    assert found.moves == ()
    assert [reason.rule for reason in found.held] == [Rule.NO_VICTIM]


def test_a_ready_slot_whose_gate_stays_closed_is_mended() -> None:
    slots = [Slot(0, READY), Slot(1, LEAVING)]
    seen = {0: HostLoad(0, closed_seconds=60), 1: HostLoad(0, closed_seconds=600)}

    assert acts(planned(1, slots, seen)) == [(Act.MEND, 0)]
    assert planned(1, slots, {0: HostLoad(0, closed_seconds=59)}).moves == ()


def test_load_is_all_that_is_in_flight_held_or_waits_as_a_job() -> None:
    slots = [Slot(0, READY), Slot(1, LEAVING), Slot(2, RENTING), Slot(3, READY)]
    seen = {0: HostLoad(2, 0), 1: HostLoad(3, 40), 2: HostLoad(1, 5)}
    load = measure(slots, seen, Queue(held=4, jobs=None))

    assert (load.requests, load.unknown, load.untold) == (10, ("slot 3", "jobs"), True)
    assert measure(slots[:2], seen, Queue()).idle_seconds == 0
    assert load.barred == 0
    assert measure(slots, {1: HostLoad(3, 40, opens=False)}, Queue()).barred == 1
    assert measure([], {}, Queue()).unknown == ()


def test_a_slot_that_leaves_is_spared_only_if_it_may_be_wanted_back_and_can_come_back() -> None:
    slots = [Slot(0, READY), Slot(1, LEAVING), Slot(2, LEAVING)]
    seen = {0: HostLoad(None), 1: HostLoad(0), 2: HostLoad(0, opens=False)}
    unknown, known = measure(slots, seen, Queue()), measure(slots[1:], seen, Queue())

    assert {index: why.rule for index, why in spared(ELASTIC, slots, seen, unknown).items()} == {1: Rule.UNKNOWN}
    assert spared(ELASTIC, slots, seen, known) == {}
    assert spared(Elastic(max=1), slots, seen, unknown) == {}, "as many serve as may"
