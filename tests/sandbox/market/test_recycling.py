"""Instances that are made anew in place, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from sandbox.hosts.spec import Traffic
from sandbox.market.records import states
from sandbox.testing import RunningMarket, running_market
from tests.doubles.raw_rents import http, rented
from tests.doubles.until import until

pytestmark = pytest.mark.service

__all__ = ["http"]  # a fixture


@pytest.fixture
def market() -> Iterator[RunningMarket]:
    with running_market(time_scale=300) as running:
        yield running


def status(http: httpx.Client, number: int) -> str | None:
    return http.get(f"/api/v0/instances/{number}/").json()["instances"]["actual_status"]


def recycle(http: httpx.Client, number: int) -> httpx.Response:
    return http.put(f"/api/v0/instances/recycle/{number}/", json={})


def test_a_recycled_instance_has_another_host_and_the_same_bill(http, market):
    number = rented(http)
    until(lambda: status(http, number) == "running")
    contract = market.emulator.get(number)
    first = contract.host
    first.traffic = Traffic(7 * 2**30, 2**30)
    before = contract.items(market.emulator.clock.now())
    assert recycle(http, number).json() == {"success": True}
    assert market.emulator.usd_per_hour() == contract.meter.disk_usd_per_hour
    until(lambda: first.destroyed)
    until(lambda: status(http, number) == "running")
    assert contract.host is not first
    after = contract.items(market.emulator.clock.now())
    assert (after["bwd"], after["bwu"]) == (before["bwd"], before["bwu"])
    assert after["gpu"] >= before["gpu"]


def test_it_says_recycling_then_loading():
    with (
        running_market(time_scale=1) as market,
        httpx.Client(base_url=market.url, params={"api_key": market.key}) as http,
    ):
        number = rented(http)
        contract = market.emulator.get(number)
        contract.due = 0
        until(lambda: status(http, number) == "running")
        recycle(http, number)
        assert status(http, number) == "recycling"
        assert states.actual_status(contract, contract.rebooting_until) == "loading"
        assert contract.due > contract.rebooting_until


def test_what_was_never_made_is_not_made_anew(http, market):
    market.arm("never-boots", instance="waits")
    number = rented(http, label="a/b/waits")
    due = market.emulator.get(number).due
    assert recycle(http, number).json() == {"success": True}
    assert market.emulator.get(number).due == due
    assert recycle(http, number + 1).json()["error"] == "no_such_instance"
