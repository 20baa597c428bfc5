"""Instances of the emulated market, rented over plain HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from sandbox.testing import RunningMarket

BODY = {"image": "img:1", "disk": 10, "runtype": "ssh_direc ssh_proxy"}
ROOMY = {"direct_port_count": {"gte": 8}, "disk_space": {"gte": 30}}


@pytest.fixture
def http(market: RunningMarket) -> Iterator[httpx.Client]:
    """A client with the key of the module's `market`."""
    with httpx.Client(base_url=market.url, headers={"Authorization": f"Bearer {market.key}"}) as found:
        yield found


def rented(http: httpx.Client, **more: object) -> int:
    offers = http.post("/api/v0/bundles/", json=ROOMY).json()["offers"]
    return http.put(f"/api/v0/asks/{offers[0]['id']}/", json={**BODY, **more}).json()["new_contract"]


def shown(http: httpx.Client, number: int) -> dict:
    return http.get(f"/api/v0/instances/{number}/?owner=me").json()["instances"]
