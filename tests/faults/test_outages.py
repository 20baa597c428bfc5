"""Ten minutes without the market, through the real engine, from each phase of a create on: no machine is given back."""

import pytest

from tests.doubles.cloud import Cloud
from tests.doubles.fleet_stack import PATIENT, assert_all_serve, rents, sets_right, stack, want
from tests.doubles.pulumi_stack import Stack

__all__ = ["stack"]  # fixtures

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.timeout(900), pytest.mark.rotating(of=6)]


DEEP = [pytest.param(call, marks=pytest.mark.deep) for call in ("show", "logs")]  # in memory each is tested always


@pytest.mark.parametrize("call", ["create", "list", *DEEP])
def test_an_outage_of_ten_minutes_costs_no_machine(cloud: Cloud, stack: Stack, call: str) -> None:
    want(cloud, stack, 2, PATIENT)
    before = rents(cloud)
    # The first list is that of the check, which waits for no market: see the test of the preview.
    cloud.sandbox.arm("api-down", call=call, nth=2 if call == "list" else 1)

    done = stack.up()

    assert "Traceback" not in done.text
    assert "asking again" in done.text
    assert_all_serve(cloud, stack, 2)
    assert rents(cloud) == before + 2, done.text
    sets_right(cloud, stack, 2)


@pytest.mark.parametrize("call", ["search", "list"])
def test_an_outage_in_the_preview_is_said_and_nothing_is_rented(cloud: Cloud, stack: Stack, call: str) -> None:
    want(cloud, stack, 1, PATIENT)
    before = rents(cloud)
    cloud.sandbox.arm("api-down", call=call)

    done = stack.up(check=False)

    assert done.status != 0
    assert "no usable answer" in done.text
    assert "Nothing was changed by this" in done.text
    assert rents(cloud) == before, done.text
    sets_right(cloud, stack, 1)


def test_an_outage_while_a_fleet_is_given_back_leaves_nothing_rented(cloud: Cloud, stack: Stack) -> None:
    want(cloud, stack, 2, PATIENT)
    stack.up()
    cloud.sandbox.arm("api-down", call="destroy")

    stack.destroy()

    assert cloud.rented() == []
