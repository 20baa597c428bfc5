"""docs/operating.md, followed: a machine that is down is started, waited for, and replaced only after a while."""

import pytest

from tests.doubles.cloud import Cloud
from tests.doubles.fleet_stack import assert_all_serve
from tests.doubles.pulumi_stack import Stack
from tests.doubles.until import until
from tests.engine.test_operating import blocks, follow, stack

__all__ = ["stack"]

pytestmark = [pytest.mark.engine, pytest.mark.host, pytest.mark.rotating(of=6)]


def test_a_machine_is_down(cloud: Cloud, stack: Stack) -> None:
    stack.up()
    (first,) = [row["id"] for row in cloud.rented()]
    again, at_once = blocks("A machine is down")

    cloud.sandbox.market.stop(first)
    told = follow(stack, again)

    assert "drift  status: the market stopped it" in told
    assert "was stopped, and is started again" in told
    assert_all_serve(cloud, stack, 1)
    assert [row["id"] for row in cloud.rented()] == [first]

    cloud.arm("host-off")
    until(lambda: cloud.rented()[0]["status"] == "offline", "the host to go off", 60)
    stack.refresh()
    planned = stack.preview("--save-plan", "plan.json")
    waited = stack.up(check=False)
    assert "no other machine takes its place" in planned.text
    assert waited.status != 0
    assert "the next `pulumi up` takes another machine" in waited.text
    assert [row["id"] for row in cloud.rented()] == [first]

    refused = stack.up("--plan", "plan.json", check=False)
    assert refused.status != 0
    assert "is not allowed by the plan" in refused.text
    assert "Traceback" not in refused.text
    assert [row["id"] for row in cloud.rented()] == [first]

    stack.up()
    (second,) = [row["id"] for row in cloud.rented()]
    assert second != first
    assert_all_serve(cloud, stack, 1)
    follow(stack, at_once)
    assert_all_serve(cloud, stack, 1)
    assert second not in [row["id"] for row in cloud.rented()]
    stack.destroy()
