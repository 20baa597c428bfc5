"""Ten minutes without the market, through the real engine, from each phase of a create on: no machine is given back."""

from collections.abc import Iterator

import pytest

from tests.doubles.cloud import Cloud, running_cloud
from tests.doubles.fleet_stack import assert_all_serve, rents, sets_right, stack_of_its_own, want
from tools.stack import Engine, Stack

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture
def stack(cloud: Cloud, engine: Engine) -> Iterator[Stack]:
    """A stack without instances; the books are empty afterwards, whatever happened."""
    with stack_of_its_own(cloud, engine) as made:
        want(cloud, made, 0)
        made.up()
        yield made


DEEP = [pytest.param(call, marks=pytest.mark.deep) for call in ("show", "logs")]  # in memory each is tested always


@pytest.mark.parametrize("call", ["create", "list", *DEEP])
def test_an_outage_of_ten_minutes_costs_no_machine(cloud: Cloud, stack: Stack, call: str) -> None:
    want(cloud, stack, 2)
    before = rents(cloud)
    cloud.sandbox.arm("api-down", call=call)

    done = stack.up()

    assert "Traceback" not in done.text
    assert "asking again" in done.text
    assert_all_serve(cloud, stack, 2)
    assert rents(cloud) == before + 2
    sets_right(cloud, stack, 2)


def test_an_outage_in_the_preview_is_said_and_nothing_is_rented(cloud: Cloud, stack: Stack) -> None:
    want(cloud, stack, 1)
    before = rents(cloud)
    cloud.sandbox.arm("api-down", call="search")

    done = stack.up(check=False)

    assert done.status != 0
    assert "no usable answer" in done.text
    assert rents(cloud) == before
    sets_right(cloud, stack, 1)


def test_an_outage_while_a_fleet_is_given_back_leaves_nothing_rented(cloud: Cloud, stack: Stack) -> None:
    want(cloud, stack, 2)
    stack.up()
    cloud.sandbox.arm("api-down", call="destroy")

    stack.destroy()

    assert cloud.rented() == []
