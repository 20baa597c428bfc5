"""The market does as it is told, and its answer is late, broken or lost."""

from __future__ import annotations

import json

import httpx
import pytest

from sandbox.market.faults.replies import GARBLED
from sandbox.testing import running_market
from tests.sandbox.market.faults.conftest import Plain

pytestmark = pytest.mark.service

LOST = (httpx.RemoteProtocolError, httpx.ReadError)
RENTED = [
    ("lost-reply", LOST),
    ("lost-create-reply", LOST),
    ("cut-answer", LOST),
    ("create-error-but-rented", 500),
    ("create-bad-gateway-but-rented", 502),
    ("create-hangs-but-rented", httpx.ReadTimeout),
    ("hung-answer", httpx.ReadTimeout),
]
GONE = [("lost-reply", LOST), ("lost-destroy-reply", LOST), ("destroy-error-but-gone", 500), ("cut-answer", LOST)]


def test_every_such_fault_is_here():
    assert {name for name, _ in (*RENTED, *GONE)} | {"slow-answer"} == set(GARBLED)


def meets(call, symptom) -> None:
    if isinstance(symptom, int):
        assert call().status_code == symptom
    else:
        with pytest.raises(symptom):
            call()


@pytest.mark.parametrize(("fault", "symptom"), RENTED)
def test_the_instance_is_rented_all_the_same(market, plain, fault, symptom):
    offer = plain.offers()[0]["id"]
    market.arm(fault)
    patience, plain.http.timeout = plain.http.timeout, 0.3 if symptom is httpx.ReadTimeout else plain.http.timeout
    body = {"image": "img:1", "label": "lost", "disk": 10}
    meets(lambda: plain.http.put(f"/api/v0/asks/{offer}/", json=body), symptom)
    plain.http.timeout = patience
    assert [one.label for one in market.emulator.all()] == ["lost"]
    assert plain.rent().status_code == 200


@pytest.mark.parametrize(("fault", "symptom"), GONE)
def test_the_instance_is_gone_all_the_same(market, plain, fault, symptom):
    number = plain.rented()
    market.arm(fault)
    meets(lambda: plain.destroy(number), symptom)
    assert market.emulator.all() == []
    assert plain.destroy(number).status_code == 404


def test_half_of_an_answer_is_half_of_the_json(market, plain):
    plain.rented()
    market.arm("cut-answer")
    with plain.http.stream("GET", "/api/v1/instances/") as answer:
        announced, pieces = int(answer.headers["content-length"]), answer.iter_raw()
        got = next(pieces)
        with pytest.raises(LOST):
            next(pieces)
    assert 0 < len(got) < announced
    with pytest.raises(json.JSONDecodeError):
        json.loads(got)


def test_a_slow_answer_outlasts_an_impatient_client_and_comes_in_the_end():
    with running_market(time_scale=100) as market:
        plain = Plain(market.url, market.key)
        market.arm("slow-answer", 2)
        with pytest.raises(httpx.ReadTimeout):
            plain.http.get("/api/v1/instances/", timeout=0.1)
        assert plain.http.get("/api/v1/instances/", timeout=10).status_code == 200
