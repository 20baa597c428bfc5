"""Several accounts on one market: each with its own rentals, keys and money; the offers are there for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from sandbox.testing import RunningMarket, running_market

pytestmark = pytest.mark.service

BODY = {"image": "img:1", "disk": 10, "runtype": "ssh_direc ssh_proxy"}


@pytest.fixture
def market() -> Iterator[RunningMarket]:
    with running_market(time_scale=2000) as running:
        yield running


def client(market: RunningMarket, key: str) -> httpx.Client:
    return httpx.Client(base_url=market.url, headers={"Authorization": f"Bearer {key}"})


def machines(http: httpx.Client) -> dict[int, int]:
    """What is on offer: machine -> offer."""
    return {row["machine_id"]: row["id"] for row in http.post("/api/v0/bundles/", json={}).json()["offers"]}


def rented(http: httpx.Client) -> int:
    offer = next(iter(machines(http).values()))
    return int(http.put(f"/api/v0/asks/{offer}/", json=BODY).json()["new_contract"])


def test_accounts_share_the_offers_and_nothing_else(market: RunningMarket) -> None:
    team = market.accounts.named("team")
    assert market.accounts.named("team") is team
    scopes = ["instance_read", "instance_write", "user_read"]
    member = team.keys.make("of a member", scopes, team.number).secret
    with client(market, market.key) as http, client(market, team.key) as first, client(market, member) as second:
        number = rented(http)
        for other in (first, second):
            assert other.get("/api/v0/users/current/").json()["id"] == team.number != market.account.number
            assert other.get("/api/v1/instances/").json()["instances"] == []
            assert other.get(f"/api/v0/instances/{number}/").json() == {"instances": None}
            gone = other.delete(f"/api/v0/instances/{number}/")
            assert (gone.status_code, gone.json()["error"]) == (404, "no_such_instance")
        assert market.emulator.get(number)

        theirs = rented(first)

        assert machines(first) == machines(http)
        assert second.get("/api/v1/instances/").json()["instances"][0]["id"] == theirs
        assert http.get(f"/api/v0/instances/{theirs}/").json() == {"instances": None}
        assert first.get("/api/v0/auth/apikeys/").json()["apikeys"][0]["user_id"] == team.number
        assert http.get("/api/v0/auth/apikeys/").json()["apikeys"] == []
    assert (len(market.emulator.all()), len(team.market.all())) == (1, 1)


def test_a_container_s_own_key_is_of_the_account_that_rented_it(market: RunningMarket) -> None:
    team = market.accounts.named("team")
    with client(market, team.key) as http:
        number = rented(http)
    with client(market, team.market.get(number).api_key) as inside:
        assert inside.delete(f"/api/v0/instances/{number}/").status_code == 200
    assert team.market.all() == []
