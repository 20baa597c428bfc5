"""Stores with ways of their own, through the real engine: what is the store's trouble costs no machine."""

import re

import pytest

from tests.doubles.cloud import TIME_SCALE, Cloud
from tests.doubles.fleet_stack import (
    PATIENT,
    assert_all_serve,
    calm,
    rents,
    sets_right,
    stack,
    stack_of_its_own,
    want,
)
from tests.doubles.pulumi_stack import Engine, Stack

__all__ = ["stack"]  # a fixture

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.timeout(900), pytest.mark.rotating(of=6)]

FIRST_UPDATE = ("store-bucket-late", "store-has-tags", "store-wants-md5")  # strike a bucket that is being made


def test_a_bucket_is_made_in_a_store_that_has_ways_of_its_own(cloud: Cloud, engine: Engine) -> None:
    with stack_of_its_own(cloud, engine) as stack:
        want(cloud, stack, 1, PATIENT)
        before = rents(cloud)
        for name in FIRST_UPDATE:
            cloud.sandbox.arm(name)

        done = stack.up()

        assert "Traceback" not in done.text
        assert "the store does not show bucket" in done.text
        assert_all_serve(cloud, stack, 1)
        assert rents(cloud) == before + 1, done.text
        sets_right(cloud, stack, 1)


@pytest.mark.parametrize("name", ["store-slow-for-all", "store-times-out"])
def test_a_store_that_is_in_trouble_for_everybody_costs_no_machine(cloud: Cloud, stack: Stack, name: str) -> None:
    want(cloud, stack, 2, PATIENT)
    before = rents(cloud)
    cloud.sandbox.arm(name, seconds=40 * TIME_SCALE)

    done = stack.up()

    assert "the host is kept" in done.text, done.text
    assert "Traceback" not in done.text
    assert_all_serve(cloud, stack, 2)
    assert rents(cloud) == before + 2, done.text
    sets_right(cloud, stack, 2)


def test_a_store_that_stays_down_costs_one_machine_and_is_said(cloud: Cloud, stack: Stack) -> None:
    want(cloud, stack, 1, PATIENT)
    before = rents(cloud)
    cloud.sandbox.arm("store-error", times=100_000)

    done = stack.up(check=False)

    assert done.status != 0
    assert re.search(
        r"the store answers 500 \(InternalError\).*no byte for \d+ s\. The store at .* is in trouble", done.text
    )
    assert "Traceback" not in done.text
    assert cloud.rented() == []
    assert rents(cloud) == before + 1, done.text
    calm(cloud)
    stack.up()
    assert_all_serve(cloud, stack, 1)
