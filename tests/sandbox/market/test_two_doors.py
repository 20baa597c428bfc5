"""The market answers alike through both of its doors, HTTP and calls in process, whatever fault strikes."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bootstrap.clock import SystemClock
from providers.vast.api.client import VastClient
from providers.vast.api.errors import VastError
from providers.vast.api.rate_limit import NoRateLimit
from providers.vast.instance_request import rent_body
from sandbox.faults import FAULTS
from sandbox.market.market import Market
from sandbox.testing import RunningMarket, running_market
from tests.doubles.clock import FakeClock
from tests.doubles.machines import machine_of, offer
from tests.doubles.market import FakeMarket, TriesOnce

pytestmark = pytest.mark.service

WAITS = ("slow-answer", "hung-answer", "create-hangs-but-rented")
BODY = rent_body("image", 20, "gpu-fleet/abc/chat-0", "true", 8443)
STRIKES = sorted(name for name, fault in FAULTS.items() if fault.room == "market" and name not in WAITS)


OFFERS = [offer(number) for number in range(1, 9)]


@pytest.fixture(scope="module")
def running() -> Iterator[RunningMarket]:
    with running_market(time_scale=1, machines=[machine_of(one) for one in OFFERS]) as market:
        yield market


@pytest.fixture(scope="module")
def outside(running: RunningMarket) -> Iterator[TriesOnce]:
    client = TriesOnce(running.url, running.key, NoRateLimit(), SystemClock())
    yield client
    client.close()


def outcomes(market: VastClient) -> list[str]:
    """Return what comes of each call in the life of one instance."""
    results: list[str] = []

    def note(call: Callable[[], Any]) -> Any:
        try:
            found = call()
        except VastError as error:
            results.append(type(error).__name__)
            return None
        results.append(f"{len(found)} rows" if isinstance(found, list) else type(found).__name__)
        return found

    note(lambda: market.search({"allocated_storage": 20}))
    number = note(lambda: market.rent(OFFERS[0].id, BODY)) or 1
    for _look in range(2):
        note(lambda: market.show(number))
        note(lambda: market.instances(BODY["label"]))
    note(lambda: market.attach_key(number, "ssh-ed25519 AAAA us"))
    note(lambda: market.destroy(number))
    note(lambda: market.show(number))
    note(market.price_increases)
    return results


def renew(market: Market) -> None:
    """Bring a market back to its beginning."""
    for armed in market.faults.report():
        market.faults.disarm(armed["name"])
    market.tick()
    for contract in market.all():
        market.destroy(contract.id)
    market._listed.clear()
    for one in OFFERS:
        market.list_again(machine_of(one), one.id)


@pytest.mark.parametrize("fault", ["", *STRIKES])
def test_both_doors_give_the_same_outcomes(running: RunningMarket, outside: TriesOnce, fault: str) -> None:
    inside = FakeMarket(FakeClock(), OFFERS, boot_seconds=None)
    renew(running.emulator)
    for client, market in ((inside, inside.emulator), (outside, running.emulator)):
        client.instances()  # a list that is stale later
        if fault:
            market.faults.arm(fault)

    assert outcomes(inside) == outcomes(outside)
