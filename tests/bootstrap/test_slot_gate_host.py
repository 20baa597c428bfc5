"""A controller at a slot's host, emulated with the real gate: it looks, closes, opens, renews the lease; busy is seen."""

import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from bootstrap.lease import renew
from bootstrap.self_destruct_config import SelfDestruct
from controller.leaving import Gate
from controller.ports import HostObservation, SlotId
from controller.world.hosts import Address, HostCalls
from sandbox.hosts.backend import NamespaceHosts
from tests.doubles.emulated import USER_KEY
from tests.doubles.rented import Rented, Things, rent
from tests.doubles.until import until

pytestmark = pytest.mark.host

PLACE = SlotId("burst", 0)
PATIENCE_SECONDS = 30
LEASED = SelfDestruct("http://127.0.0.1:81", lease=900.0)


@dataclass
class Slot:
    """A host that serves, and the controller's calls of it."""

    rented: Rented
    calls: HostCalls

    def look(self) -> HostObservation:
        return self.calls.look([PLACE])[PLACE]

    @property
    def endpoint(self) -> str:
        return f"https://127.0.0.1:{self.rented.host.ports[8443]}"

    @property
    def trusted(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.rented.things.authority.certificate)

    def ask(self) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.rented.spec.token}"}
        with httpx.Client(
            base_url=self.endpoint, headers=headers, verify=self.trusted, trust_env=False, timeout=60
        ) as it:
            return it.post("/v1/completions", json={"model": "tiny", "prompt": "Hello"})


@pytest.fixture
def slot(hosts: NamespaceHosts, things: Things) -> Iterator[Slot]:
    rented = rent(hosts, things)
    rented.converge(self_destruct=LEASED)
    address = Address("127.0.0.1", rented.host.ports[22], rented.host.key.fingerprint, USER_KEY.private)
    calls = HostCalls(lambda _place: address)
    yield Slot(rented, calls)
    calls.end()
    rented.host.destroy()


def test_a_host_that_serves_tells_an_open_gate_no_request_and_its_idleness(slot: Slot) -> None:
    until(lambda: slot.look().seen.idle_seconds is not None, seconds=PATIENCE_SECONDS)
    sight = slot.look()

    assert (sight.look.gate, sight.look.in_flight) == (Gate.OPEN, 0)
    assert sight.seen.known

    assert slot.ask().status_code == 200
    until(lambda: slot.look().look.admitted != sight.look.admitted, seconds=PATIENCE_SECONDS)


def test_a_gate_is_closed_and_opened_again_and_never_opened_without_a_proof(slot: Slot) -> None:
    slot.calls.close([PLACE])
    assert slot.look().look.gate is Gate.CLOSED
    assert slot.ask().status_code == 503

    assert list(slot.calls.open([PLACE])) == [PLACE]
    assert slot.ask().status_code == 200

    slot.calls.close([PLACE])
    slot.rented.host.stop()
    slot.rented.host.start()
    until(lambda: PLACE in slot.calls.look([PLACE]), seconds=PATIENCE_SECONDS)
    assert list(slot.calls.open([PLACE])) == []
    assert slot.look().look.gate is Gate.CLOSED


def test_a_request_under_way_behind_a_closed_gate_is_seen_until_it_ends_whole(slot: Slot) -> None:
    slot.rented.run("echo vllm_latency_s 10 > /etc/sandbox-faults")
    answers: list[httpx.Response] = []
    client = threading.Thread(target=lambda: answers.append(slot.ask()))
    client.start()
    until(lambda: slot.look().look.in_flight == 1, seconds=PATIENCE_SECONDS)

    slot.calls.close([PLACE])

    closed = slot.look().look
    assert (closed.gate, closed.in_flight) == (Gate.CLOSED, 1)
    client.join(PATIENCE_SECONDS)
    until(lambda: slot.look().look.in_flight == 0, seconds=PATIENCE_SECONDS)
    assert answers[0].status_code == 200
    assert slot.look().look.admitted != closed.admitted


def test_a_lease_is_renewed_also_behind_a_closed_gate_and_is_no_request(slot: Slot) -> None:
    slot.calls.close([PLACE])
    before = slot.look().look
    until(lambda: _lease_until(slot) > 0, seconds=PATIENCE_SECONDS)
    was = _lease_until(slot)

    assert renew(slot.endpoint, slot.trusted, slot.rented.spec.token, 10.0)
    assert not renew(slot.endpoint, slot.trusted, "x" * 43, 10.0)

    until(lambda: _lease_until(slot) > was, seconds=PATIENCE_SECONDS)
    assert slot.look().look.admitted == before.admitted


def test_a_host_that_is_frozen_is_unknown(slot: Slot) -> None:
    assert PLACE in slot.calls.look([PLACE])

    slot.rented.host.stop()

    assert PLACE not in slot.calls.look([PLACE])


def _lease_until(slot: Slot) -> float:
    text = slot.rented.run(
        'python3 -c \'import json; print(json.load(open("/run/gpu-fleet/self-destruct.json"))["lease_until"] or 0)\' || true'
    )
    return float(text or 0)
