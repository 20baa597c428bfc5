"""Bids that change, and what the account has paid, over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from sandbox.testing import RunningMarket, running_market
from tests.doubles.until import until

pytestmark = pytest.mark.service

BODY = {"image": "img:1", "disk": 10, "runtype": "ssh_direc ssh_proxy"}


@pytest.fixture
def market() -> Iterator[RunningMarket]:
    with running_market(time_scale=2000, credit=25.0) as running:
        yield running


@pytest.fixture
def http(market: RunningMarket) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=market.url, headers={"Authorization": f"Bearer {market.key}"}) as found:
        yield found


def offers(http: httpx.Client) -> list[dict]:
    return http.post("/api/v0/bundles/", json={"type": "bid", "disk_space": {"gte": 30}}).json()["offers"]


def bid(http: httpx.Client, number: int, price: object) -> httpx.Response:
    return http.put(f"/api/v0/instances/bid_price/{number}/", json={"client_id": "me", "price": price})


def shown(http: httpx.Client, number: int) -> dict:
    return http.get(f"/api/v0/instances/{number}/").json()["instances"]


def test_a_bid_under_the_minimum_loses_the_gpu_and_a_higher_one_wins_it_back(market, http):
    offer = offers(http)[0]
    lowest, listed = offer["dph_base"], len(market.emulator.listed())
    number = http.put(f"/api/v0/asks/{offer['id']}/", json={**BODY, "price": lowest * 2}).json()["new_contract"]
    until(lambda: shown(http, number)["actual_status"] == "running")
    contract = market.emulator.get(number)
    assert bid(http, number, lowest * 1.5).json() == {"success": True}
    assert market.emulator.usd_per_hour() == pytest.approx(lowest * 1.5 + contract.meter.disk_usd_per_hour)
    assert shown(http, number)["dph_base"] == lowest * 1.5
    assert len(market.emulator.listed()) == listed - 1

    assert bid(http, number, 0.001).json() == {"success": True}
    assert shown(http, number)["intended_status"] == "stopped"
    assert market.emulator.usd_per_hour() == contract.meter.disk_usd_per_hour
    assert len(market.emulator.listed()) == listed

    assert bid(http, number, None).json() == {"success": True}
    until(lambda: shown(http, number)["actual_status"] == "running")
    assert shown(http, number)["dph_base"] == lowest
    assert len(market.emulator.listed()) == listed - 1
    http.delete(f"/api/v0/instances/{number}/")
    assert len(market.emulator.listed()) == listed


def test_a_bid_does_not_win_a_machine_that_another_has_rented(market, http):
    offer = offers(http)[0]
    left = http.put(f"/api/v0/asks/{offer['id']}/", json={**BODY, "price": 0.001}).json()["new_contract"]
    http.put(f"/api/v0/asks/{offer['id']}/", json=BODY)
    assert bid(http, left, 30).json() == {"success": True}
    assert market.emulator.get(left).intended == "stopped"
    assert not market.emulator.get(left).holds_gpu


@pytest.mark.parametrize("price", [0, 0.0001, 33, "cheap", True, [1]])
def test_a_bid_that_is_no_price_is_refused(market, http, price):
    offer = offers(http)[0]
    number = http.put(f"/api/v0/asks/{offer['id']}/", json={**BODY, "price": 1}).json()["new_contract"]
    answer = bid(http, number, price)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_args")
    assert market.emulator.get(number).request.price == 1


def test_an_instance_on_demand_and_one_that_is_not_there_have_no_bid(http):
    number = http.put(f"/api/v0/asks/{offers(http)[0]['id']}/", json=BODY).json()["new_contract"]
    assert (bid(http, number, 0.5).status_code, bid(http, number + 1, 0.5).status_code) == (400, 404)


def paid(http: httpx.Client, **filters: object) -> dict:
    return http.get("/api/v1/invoices/", params={"select_filters": json.dumps(filters)}).json()


def test_what_was_paid_is_listed_by_moment_and_service(http):
    now = time.time()
    lately = {"gte": now - 60, "lte": now + 60}
    found = paid(http, when=lately)
    assert (found["count"], found["total"], found["next_token"]) == (1, 1, None)
    assert (found["results"][0]["amount"], found["results"][0]["type"]) == (-25.0, "credit")
    assert paid(http, when=lately, service={"in": ["stripe_payments"]})["count"] == 1
    assert paid(http, when=lately, service={"in": ["transfer"]})["count"] == 0
    assert paid(http, when={"gte": now - 120, "lte": now - 60})["count"] == 0


def test_a_range_that_cannot_be_read_is_refused_with_200(http):
    answers = [http.get("/api/v1/invoices/"), http.get("/api/v1/invoices/", params={"select_filters": "{}"})]
    assert [(one.status_code, one.json()["success"]) for one in answers] == [(200, False)] * 2
