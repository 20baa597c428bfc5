"""A store in trouble for everybody costs no machine: ten minutes of it, from each moment of a download on."""

import pytest

from tests.doubles.store_outages import MOMENTS, TROUBLES, machines_given_back


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_ten_minutes_of_the_stores_trouble_cost_no_machine(trouble: str, moment: str) -> None:
    assert [machines_given_back(trouble, moment, seed) for seed in range(20)] == [0] * 20


@pytest.mark.parametrize("trouble", [name for name in TROUBLES if name != "HTTP 503 to hosts"])
def test_a_line_that_is_bad_while_the_store_is_well_costs_the_machine(trouble: str) -> None:
    assert machines_given_back(trouble, "first byte", faulty=True) == 1
