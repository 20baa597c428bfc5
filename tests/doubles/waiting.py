"""Many instances that boot at once, waited for by the real rules and the real client, against the emulated market."""

import contextlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from bootstrap.clock import SystemClock
from providers.engine_watch import UnwatchedClock
from providers.vast.api.client import VastClient
from providers.vast.api.errors import RentalFailed
from providers.vast.api.rate_limit import SharedRateLimit
from providers.vast.api.response_cache import ResponseCache
from providers.vast.limits import Limits
from providers.vast.renting.renter import Renter
from providers.vast.renting.wait import wait_until_running
from sandbox.market.records.contracts import Request
from sandbox.testing import RunningMarket, running_market

TIME_SCALE = 60.0
MINUTES = 2.0  # of the market's
# How many wait -> how often the market may be asked, in calls a minute of boot and instance.
GOAL_CALLS: Mapping[int, float] = {1: 12.0, 3: 12.0, 32: 1.0}


class Counting(httpx.HTTPTransport):
    """A wire that counts its requests."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.count += 1
        return super().handle_request(request)


def calls_a_minute(folder: Path, count: int) -> float:
    """Let `count` instances boot for two minutes, each waited for by a client of its own as in a process of its own;
    return the calls to the market a minute and instance.
    """
    clock, wire = UnwatchedClock(), Counting()
    with running_market(time_scale=TIME_SCALE, thresholds=True) as market:
        market.arm("never-boots", count)
        labels = {_rented(market, label): label for label in (f"gpu-fleet/abc/chat-{index}" for index in range(count))}
        deadline = SystemClock().monotonic() + MINUTES * 60 / TIME_SCALE

        def wait(number: int) -> None:
            client = VastClient(
                market.url,
                market.key,
                SharedRateLimit(folder, TIME_SCALE),
                clock,
                wire,
                TIME_SCALE,
                ResponseCache(folder, TIME_SCALE),
            )
            with contextlib.suppress(RentalFailed):
                wait_until_running(
                    Renter(client, clock, Limits().at(TIME_SCALE)), number, labels[number], 8443, deadline
                )

        with ThreadPoolExecutor(count) as pool:
            list(pool.map(wait, labels))
    return wire.count / MINUTES / count


def _rented(market: RunningMarket, label: str) -> int:
    wanted = Request(image="img:1", disk=10, label=label, env={"-p 8443:8443": "1"})
    return market.emulator.rent(int(market.emulator.listed(10.0)[0]["id"]), wanted).id
