"""What the market answers in place of doing what it was asked for; nothing is done meanwhile."""

from __future__ import annotations

import contextlib

import httpx
import pytest

from sandbox.market.faults.answers import CANNED, LIMITED
from tests.doubles.until import until

pytestmark = pytest.mark.service

JSON = "application/json"
ANSWERS = [
    ("edge-forbids", 403, "text/html; charset=utf-8", "403 Forbidden"),
    ("auth-error", 404, JSON, '"auth_error"'),
    ("session-expired", 404, JSON, "Please log in again"),
    ("key-revoked", 404, JSON, '"auth_error"'),
    ("deprecated-route", 410, JSON, '"deprecated_endpoint"'),
    ("server-error", 500, JSON, '"success":false'),
    ("bad-gateway", 502, "text/html; charset=utf-8", "502 Bad Gateway"),
    ("unavailable", 503, JSON, '"success":false'),
    ("refused-with-200", 200, JSON, '"success":false'),
    ("empty-body", 200, JSON, ""),
    ("null-body", 200, JSON, "null"),
    ("empty-object", 200, JSON, "{}"),
    ("proxy-page", 200, "text/html; charset=utf-8", "Just a moment"),
    ("search-quota-exceeded", 429, JSON, '"search_quota_exceeded"'),
    ("rate-limited", 429, None, "too frequent"),
    ("rate-limited-with-hint", 429, JSON, '"rate_limit_exceeded"'),
    ("rate-limited-without-hint", 429, "text/plain; charset=utf-8", "too frequent"),
]


def test_every_such_fault_is_here():
    assert {name for name, *_ in ANSWERS} == {*CANNED, *LIMITED}


@pytest.mark.parametrize(("fault", "status", "kind", "text"), ANSWERS)
@pytest.mark.parametrize("call", ["create", "list", "destroy"])
def test_it_says_so_once_and_has_done_nothing(market, plain, fault, status, kind, text, call):
    number = plain.running()
    market.arm(fault, 1, call=call)
    before = [one.id for one in market.emulator.all()]
    answer = {
        "create": plain.rent,
        "list": lambda: plain.http.get("/api/v1/instances/"),
        "destroy": lambda: plain.destroy(number),
    }[call]()
    assert answer.status_code == status
    assert kind in (None, answer.headers["content-type"])
    assert text in answer.text
    assert bool(answer.text) == bool(text)
    assert [one.id for one in market.emulator.all()] == before
    assert plain.listed() == before


def test_hints_are_where_they_are_said_to_be(market, plain):
    market.arm("rate-limited-with-hint")
    market.arm("rate-limited-without-hint")
    market.arm("search-quota-exceeded")
    found = [plain.http.get("/api/v1/instances/").headers for _ in range(3)]
    assert [name in headers for headers in found for name in ("retry-after", "x-ratelimit-reset")] == [
        True,
        False,
        False,
        False,
        False,
        True,
    ]


def test_a_revoked_key_stays_revoked_until_the_fault_is_switched_off(market, plain):
    market.arm("key-revoked")
    assert [plain.http.get("/api/v1/instances/").status_code for _ in range(4)] == [404] * 4
    market.emulator.faults.disarm("key-revoked")
    assert plain.listed() == []


def test_a_fault_strikes_the_calls_about_one_instance(market, plain):
    one, other = plain.rented("gpu-fleet/abc/chat-0"), plain.rented("gpu-fleet/abc/chat-1")
    market.arm("server-error", 3, instance="chat-1")
    assert plain.show(one)["id"] == one
    assert plain.http.get(f"/api/v0/instances/{other}/").status_code == 500
    assert plain.http.get("/api/v1/instances/").status_code == 500
    assert plain.rent("gpu-fleet/abc/chat-1").status_code == 500
    assert plain.listed() == [one, other]


@pytest.mark.parametrize("market", [150], indirect=True)  # four seconds of outage: a loaded machine makes four calls
def test_an_outage_begins_at_the_call_that_was_asked_for_and_strikes_every_call_until_it_is_over(market, plain):
    number = plain.running()
    market.arm("api-down", call="list")
    assert plain.show(number)["id"] == number
    statuses = set()
    for call in ("/api/v1/instances/", *[f"/api/v0/instances/{number}/"] * 3):
        try:
            statuses.add(plain.http.get(call).status_code)
        except httpx.TransportError:
            statuses.add(None)
    assert statuses == {502, 503, 504, None}
    assert "api-down" in {arming.name for arming in market.emulator.faults.waiting("market")}
    until(lambda: not market.emulator.faults.waiting("market"))
    assert plain.listed() == [number]


def test_an_outage_ends_when_it_is_switched_off(market, plain):
    market.arm("api-down")
    with contextlib.suppress(httpx.TransportError):
        assert plain.http.get("/api/v1/instances/").status_code >= 502
    market.emulator.faults.disarm("api-down")
    assert plain.listed() == []


def test_the_edge_turns_away_who_names_no_program(market, plain):
    answer = plain.http.get("/api/v1/instances/", headers={"User-Agent": "Python-urllib/3.12"})
    assert (answer.status_code, "403 Forbidden" in answer.text) == (403, True)
    assert plain.listed() == []
