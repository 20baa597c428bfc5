"""What a market says odd of a healthy instance gives no machine back: ten minutes of it, in each phase."""

import pytest

from providers.vast.api.instance import Instance
from tests.doubles.odd_lives import LIVES, NULLABLE, PHASES, machines_given_back


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("life", LIVES)
def test_an_odd_word_of_the_market_costs_no_machine(life: str, phase: str) -> None:
    assert machines_given_back(LIVES[life], phase) == 0


@pytest.mark.parametrize("phase", ["boot", "running", "refresh"])
def test_a_failure_that_the_market_names_does(phase: str) -> None:
    assert machines_given_back({"actual_status": "exited"}, phase) > 0


def test_every_field_that_may_be_null_is_played() -> None:
    nullable = {name for name, field in Instance.model_fields.items() if not field.is_required()}
    assert nullable - {"next_state", "ports"} == set(NULLABLE)  # what nobody reads, and what is played by itself
