"""Hosts whose controller is dead for good: each idle one asks for its end in time, and a busy one serves to its last request.

Real are the hosts, their gates, the shipped self-destruct service, and the calls by which a controller renews a lease or
closes a gate. `tests/engine/test_elastic.py` kills the controller itself, and sees the instances gone from the market.
"""

import contextlib
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

from bootstrap.scripts.self_destruct_rules import QUIET_SECONDS
from bootstrap.self_destruct_config import SelfDestruct
from controller.ports import SlotId
from controller.world.hosts import Address, HostCalls
from controller.world.leases import LeaseEndpoint, Leases
from sandbox.hosts.backend import NamespaceHosts
from tests.doubles.called import Called, running_called
from tests.doubles.emulated import USER_KEY
from tests.doubles.rented import STORE, Rented, Things, rent
from tests.doubles.repeated import repeated
from tests.doubles.until import until

pytestmark = pytest.mark.host

MARKET = "market.sandbox.internal:81"
LEASE = 10.0
IDLE = min(QUIET_SECONDS, LEASE)  # for so long a host was idle at least when its lapsed lease ends it
IN_TIME = LEASE + IDLE + 60.0
STREAM_SECONDS = 3 * LEASE
UNUSED, LEAVING, BUSY = range(3)


@dataclass(frozen=True)
class Slot:
    """One host, and the market that it asks for its end."""

    place: SlotId
    rented: Rented
    market: Called

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.rented.host.ports[8443]}"

    @property
    def door(self) -> LeaseEndpoint:
        return LeaseEndpoint(self.place, self.url, self.rented.spec.token, self.rented.things.authority.certificate)

    @property
    def address(self) -> Address:
        host = self.rented.host
        return Address("127.0.0.1", host.ports[22], host.key.fingerprint, USER_KEY.private)

    @property
    def has_asked(self) -> bool:
        return bool(self.market.of("DELETE"))


class Stream:
    """A request that is under way for STREAM_SECONDS."""

    def __init__(self, slot: Slot) -> None:
        door = slot.door
        trusted = ssl.create_default_context(cadata=door.ca_certificate)
        self._client = httpx.Client(verify=trusted, trust_env=False, timeout=2 * STREAM_SECONDS)
        body, headers = {"model": "tiny", "prompt": "Hello", "stream": True}, {"Authorization": f"Bearer {door.token}"}
        pool = ThreadPoolExecutor(1)
        self._answer = pool.submit(self._client.post, f"{door.endpoint}/v1/completions", json=body, headers=headers)
        pool.shutdown(wait=False)

    @property
    def done(self) -> bool:
        """Whether the answer has come."""
        return self._answer.done()

    def text(self) -> str:
        """Wait for the answer, and return its text."""
        with contextlib.closing(self._client):
            return self._answer.result(2 * STREAM_SECONDS).text


@pytest.fixture
def slots(hosts: NamespaceHosts, things: Things) -> Iterator[list[Slot]]:
    found = []
    with contextlib.ExitStack() as stack:
        for index in (UNUSED, LEAVING, BUSY):
            market = stack.enter_context(running_called())
            outward = {f"{STORE}:80": ("127.0.0.1", things.blobs.port), MARKET: ("127.0.0.1", market.port)}
            rented = rent(hosts, things, outward=outward, env={"CONTAINER_API_KEY": "own-key", "CONTAINER_ID": "1001"})
            stack.callback(rented.host.destroy)
            found.append(Slot(SlotId("burst", index), rented, market))
        with ThreadPoolExecutor(2) as pool:
            list(
                pool.map(
                    lambda one: one.rented.converge(self_destruct=SelfDestruct(f"http://{MARKET}", lease=3600)), found
                )
            )
        yield found


def test_an_idle_host_ends_itself_in_time_after_its_controller_and_a_busy_one_after_its_last_request(
    slots: list[Slot],
) -> None:
    leases, calls = Leases(), HostCalls(lambda place: slots[place.slot].address)
    with repeated(lambda: leases.all([one.door for one in slots]), LEASE / 5):
        for one in slots:
            one.rented.converge(self_destruct=SelfDestruct(f"http://{MARKET}", lease=LEASE))
        lived = time.monotonic()
        until(lambda: time.monotonic() > lived + LEASE + IDLE + 5, seconds=60)
        assert [one.place.slot for one in slots if one.has_asked] == [], "a controller that lives renews the leases"
        calls.close([slots[LEAVING].place])
        slots[BUSY].rented.run(f"echo vllm_latency_s {STREAM_SECONDS} > /etc/sandbox-faults")
        stream = Stream(slots[BUSY])
    dead = time.monotonic()
    calls.end()

    until(lambda: slots[UNUSED].has_asked and slots[LEAVING].has_asked, seconds=IN_TIME)
    took = time.monotonic() - dead
    assert not slots[BUSY].has_asked or stream.done
    assert stream.text().rstrip().endswith("data: [DONE]")
    ended = time.monotonic()
    until(lambda: slots[BUSY].has_asked, seconds=IN_TIME)
    print(f"\nasked {took:.0f} s after the controller, the busy one {time.monotonic() - ended:.0f} s after its request")
