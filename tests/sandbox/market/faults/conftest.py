"""A market and a plain HTTP client of it, which believes nothing and repairs nothing."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from sandbox.hosts.spec import HostSpec, NoHost, NoHosts
from sandbox.testing import RunningMarket, running_market
from tests.doubles.until import until

BODY = {"image": "img:1", "disk": 10, "runtype": "ssh_direc ssh_proxy", "env": {"-p 8443:8443": "1"}}


class RememberedHosts(NoHosts):
    def __init__(self) -> None:
        self.made: list[NoHost] = []

    def create(self, spec: HostSpec) -> NoHost:
        self.made.append(NoHost(spec))
        return self.made[-1]


class Plain:
    """What one writes with httpx in an afternoon."""

    def __init__(self, url: str, key: str) -> None:
        self.http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=10)

    def offers(self) -> list[dict]:
        query = {"direct_port_count": {"gte": 4}, "disk_space": {"gte": 30}}
        return self.http.post("/api/v0/bundles/", json=query).json()["offers"]

    def rent(self, label: str = "gpu-fleet/abc/chat-0", **more: object) -> httpx.Response:
        return self.http.put(f"/api/v0/asks/{self.offers()[0]['id']}/", json={**BODY, "label": label, **more})

    def rented(self, label: str = "gpu-fleet/abc/chat-0") -> int:
        return self.rent(label).json()["new_contract"]

    def running(self, label: str = "gpu-fleet/abc/chat-0") -> int:
        number = self.rented(label)
        until(lambda: self.show(number)["actual_status"] == "running")
        return number

    def show(self, number: int) -> dict:
        return self.http.get(f"/api/v0/instances/{number}/?owner=me").json()["instances"]

    def page(self, **query: str) -> dict:
        return self.http.get("/api/v1/instances/", params=query).json()

    def listed(self) -> list[int]:
        return [one["id"] for one in self.page()["instances"]]

    def destroy(self, number: int) -> httpx.Response:
        return self.http.request("DELETE", f"/api/v0/instances/{number}/", json={})

    def log(self, number: int) -> list[httpx.Response]:
        asked = self.http.put(f"/api/v0/instances/request_logs/{number}/", json={"tail": "10"}).json()
        return [httpx.get(asked["result_url"]) for _ in range(3)]


@pytest.fixture
def hosts() -> RememberedHosts:
    return RememberedHosts()


@pytest.fixture
def market(request: pytest.FixtureRequest, hosts: RememberedHosts) -> Iterator[RunningMarket]:
    """A running market; its parameter is how many market seconds pass in one of ours."""
    with running_market(hosts=hosts, time_scale=getattr(request, "param", 2000)) as running:
        yield running


@pytest.fixture
def plain(market: RunningMarket) -> Iterator[Plain]:
    client = Plain(market.url, market.key)
    with client.http:
        yield client
