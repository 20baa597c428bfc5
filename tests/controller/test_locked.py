"""What was decided and no longer holds is dropped before it costs something."""

import pytest
from pydantic import ValidationError

from config.elastic import Elastic
from controller.locked import changed, late, unwanted
from controller.reasons import Reason, Rule
from controller.slots import Slot, State

MEANT = Slot(2, State.RENTING, version=7)


def rule(reason: Reason | None) -> Rule | None:
    return reason.rule if reason else None


@pytest.mark.parametrize(
    ("row", "off"),
    [
        (MEANT, None),
        (Slot(2, State.RENTING, version=8), Rule.SLOT_CHANGED),
        (Slot(2, State.ENDING, version=7), Rule.SLOT_CHANGED),
        (None, Rule.SLOT_CHANGED),
    ],
)
def test_a_row_that_somebody_wrote_since_stops_the_act(row: Slot | None, off: Rule | None) -> None:
    assert rule(changed(MEANT, row)) == off


@pytest.mark.parametrize(
    ("applied", "off"), [(Elastic(max=3), None), (Elastic(max=2), Rule.BOUNDS_CHANGED), (None, Rule.FLEET_GONE)]
)
def test_bounds_that_a_person_changed_stop_a_rent(applied: Elastic | None, off: Rule | None) -> None:
    assert rule(unwanted(MEANT, applied)) == off


def test_only_a_slot_that_is_renting_rents() -> None:
    assert rule(unwanted(Slot(0, State.READY), Elastic(max=3))) == Rule.SLOT_CHANGED


@pytest.mark.parametrize(("now", "off"), [(100, None), (130, None), (131, Rule.LATE), (99, Rule.LATE)])
def test_a_decision_that_rests_on_an_old_look_is_dropped(now: float, off: Rule | None) -> None:
    assert rule(late(100, now)) == off


def test_bounds_are_in_order() -> None:
    with pytest.raises(ValidationError, match="min is 3, which is more than max, 2"):
        Elastic(min=3, max=2)
