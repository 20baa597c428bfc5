"""One account on the emulated market, thresholds and all, and the computers that share it, in one virtual time.

account = VirtualAccount()
computer = account.computer(folder)           # its cache is that folder: two computers share nothing else
account.time.run(lambda: computer.market().instances(), ...)

Client, pace, shared answers and breaker are the real ones, and so are the market's routes; only the wire between them is not.
"""

import random
from collections import Counter
from collections.abc import Coroutine, MutableMapping
from pathlib import Path
from typing import Any

import httpx

from providers.vast.api.breaker import Breaker
from providers.vast.api.client import TIMEOUT_SECONDS, VastClient
from providers.vast.api.guarded_market import GuardedMarket
from providers.vast.api.offer_claims import Claims
from providers.vast.api.rate_limit import SharedRateLimit
from providers.vast.api.response_cache import ResponseCache
from providers.vast.instance_request import rent_body
from providers.vast.limits import Limits
from sandbox.faults import Faults
from sandbox.hosts.spec import NoHosts
from sandbox.market.market import Market
from sandbox.market.records.clock import MarketClock
from sandbox.market.records.contracts import Request
from sandbox.market.records.machines import generate
from sandbox.market.server import KEY, application
from tests.doubles.virtual_time import VirtualTime

URL = "http://market.example"
MACHINES = 2000
LATENCY = (0.05, 0.25)  # seconds there and back, between these


class Wire(httpx.BaseTransport):
    """Carries calls of one computer to the market, and counts its answers by kind of call and status."""

    def __init__(self, account: "VirtualAccount", seed: int) -> None:
        self._account = account
        self._chance = random.Random(seed)
        self.answers: Counter[tuple[str, int]] = Counter()
        self.down_from, self.down_until = float("inf"), float("inf")
        self.hangs = False  # while it is down: a time-out in place of a page of the proxy

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        time = self._account.time
        way = self._chance.uniform(*self._account.latency) / 2
        time.sleep(way)
        if self.down_from <= time.now < self.down_until:
            if self.hangs:
                time.sleep(TIMEOUT_SECONDS)
                self.answers[kind_of(request), 0] += 1
                raise httpx.ReadTimeout("nobody answers", request=request)
            answer = httpx.Response(502, text="<html>Bad gateway</html>")
        else:
            answer = self._account.answer(request)
        time.sleep(way)
        self.answers[kind_of(request), answer.status_code] += 1
        return answer


def kind_of(request: httpx.Request) -> str:
    """Return what a request asks for, in the client's words."""
    path, method = request.url.path, request.method
    if "/instances/request_logs/" in path:
        return "logs"
    if "/ssh/" in path:
        return "ssh"
    if "/bundles/" in path:
        return "search"
    if "/asks/" in path:
        return "rent"
    if path == "/api/v1/instances/":
        return "list"
    return {"DELETE": "destroy", "GET": "show"}.get(method, "other") if "/instances/" in path else "other"


class Computer:
    """One computer of the account: its cache, its wire, and a market for each process that it runs."""

    def __init__(self, account: "VirtualAccount", folder: Path, seed: int) -> None:
        self._account, self._folder = account, folder
        folder.mkdir(exist_ok=True)
        self.wire = Wire(account, seed)

    def client(self) -> VastClient:
        """Return the client of one more process."""
        time, breaker = self._account.time, Breaker(self._folder)
        return VastClient(
            URL,
            KEY,
            SharedRateLimit(self._folder),
            time,
            self.wire,
            shared=ResponseCache(self._folder),
            on_list=lambda rows: breaker.listed(rows, time.monotonic(), time.time()),
        )

    def market(self) -> GuardedMarket:
        """Return the market of one more process, as `reach` makes it."""
        breaker, claims = Breaker(self._folder), Claims(self._folder)
        return GuardedMarket(self.client(), breaker, self._account.time, Limits().look_seconds, claims)


class VirtualAccount:
    """The account, with `others` instances on it that are no fleet of ours. `latency`: seconds there and back."""

    def __init__(self, others: int = 0, latency: tuple[float, float] = LATENCY) -> None:
        self.latency = latency
        self.time = VirtualTime()
        real = MarketClock(1.0, start=self.time.start, real=self.time.monotonic)
        machines = generate(1, MACHINES)
        self.market = Market(real, machines, NoHosts(), Faults(), spawn=lambda work: work(), ids_from=1)
        self._app = application(self.market)
        for row in self.market.listed()[:others]:
            self.market.rent(int(row["id"]), Request(image="image", disk=8, label="a person's own"))
        self._computers = 0

    def computer(self, folder: Path) -> Computer:
        """Return one more computer that uses the account."""
        self._computers += 1
        return Computer(self, folder, self._computers)

    def rented(self, *labels: str) -> list[int]:
        """Rent an instance for each label, as if somebody else did; return their ids."""
        rows = [row for row in self.market.listed() if row["inet_down"] > 300 and row["direct_port_count"] > 2]
        bodies = [rent_body("image:1", 8, label, "true", 8443) for label in labels]
        return [
            self.market.rent(int(row["id"]), Request.model_validate(body)).id
            for row, body in zip(rows, bodies, strict=False)
        ]

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer a call now."""
        self.market.tick()
        body = request.read()
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": request.url.path,
            "raw_path": request.url.raw_path,
            "root_path": "",
            "query_string": request.url.query,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "server": (request.url.host, 80),
            "client": ("203.0.113.1", 40000),
        }
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        _at_once(self._app(scope, receive, send))
        head = sent[0]
        content = b"".join(message.get("body", b"") for message in sent[1:])
        return httpx.Response(head["status"], headers=head["headers"], content=content)


def _at_once(work: Coroutine[Any, Any, None]) -> None:
    """Run what waits for nothing, without a loop."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("the market waited for something")
