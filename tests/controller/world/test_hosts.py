"""Calls of many hosts at once: each in bounded time, over kept connections, and unknown without an answer."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from bootstrap.errors import HostLost, HostUnreachable, StepFailed
from bootstrap.host import Result
from controller.leaving import Gate
from controller.ports import SlotId
from controller.world.hosts import PATIENT_SECONDS, Address, HostCalls

TOLD: dict[str, Any] = {
    "gate": "open",
    "in_flight": 2,
    "engine": 3,
    "admitted": "1-2-3",
    "idle": 4.0,
    "ending": "",
}
ZERO, ONE = SlotId("burst", 0), SlotId("burst", 1)


@dataclass
class Played:
    """A host that answers with an object, a text, an error, or not before an event."""

    answer: Any = field(default_factory=lambda: dict(TOLD))
    asked: list[str] = field(default_factory=list)
    closed: bool = False

    def run(self, command: str, stdin: bytes = b"", timeout: float = 60) -> Result:
        request = next(line for line in stdin.decode().splitlines() if line.startswith("REQUEST"))
        self.asked.append(next(act for act in ("look", "close", "open") if act in request))
        if isinstance(self.answer, Exception):
            raise self.answer
        if isinstance(self.answer, threading.Event):
            self.answer.wait(10)
            return Result(0, json.dumps(TOLD), "")
        return Result(0, self.answer if isinstance(self.answer, str) else json.dumps(self.answer), "")

    def put(self, data: bytes, path: str, mode: int) -> None:
        raise AssertionError("nothing is put")

    def close(self) -> None:
        self.closed = True


@dataclass
class Net:
    """Hosts by place; counts logins."""

    hosts: dict[SlotId, Played]
    logins: list[str] = field(default_factory=list)
    refuses: bool = False
    moved: str = ""

    def address(self, place: SlotId) -> Address | None:
        return Address(f"{place.slot}{self.moved}", 22, "SHA256:x", "key") if place in self.hosts else None

    def log_in(self, address: Address) -> Played:
        self.logins.append(address.host)
        if self.refuses:
            raise HostUnreachable("no answer")
        return self.hosts[SlotId("burst", int(address.host[0]))]

    def calls(self, seconds: float = 5.0, monotonic: Callable[[], float] = time.monotonic) -> HostCalls:
        return HostCalls(self.address, self.log_in, monotonic, call_seconds=seconds)


def test_a_look_tells_gate_load_and_idleness_over_one_kept_connection() -> None:
    net = Net({ZERO: Played()})
    calls = net.calls()

    for _look in range(3):
        sight = calls.look([ZERO])[ZERO]

    assert (sight.look.gate, sight.look.in_flight, sight.look.admitted) == (Gate.OPEN, 3, "1-2-3")
    assert (sight.seen.in_flight, sight.seen.idle_seconds) == (3, 4.0)
    assert sight.seen.known
    assert net.logins == ["0"]


@pytest.mark.parametrize(
    ("told", "requests"),
    [({"in_flight": None}, None), ({"engine": None}, 2), ({"in_flight": 0, "engine": 0}, 0)],
)
def test_what_the_gate_does_not_tell_is_unknown(told: dict[str, Any], requests: int | None) -> None:
    net = Net({ZERO: Played({**TOLD, **told})})

    assert net.calls().look([ZERO])[ZERO].look.in_flight == requests


@pytest.mark.parametrize(
    "answer",
    [
        HostLost("the connection ended"),
        StepFailed("not in time"),
        "no JSON",
        {**TOLD, "gate": "ajar"},
        {**TOLD, "in_flight": -1},
        {**TOLD, "admitted": 7},
    ],
)
def test_a_host_that_does_not_tell_is_left_out(answer: Any) -> None:
    net = Net({ZERO: Played(answer), ONE: Played()})

    assert list(net.calls().look([ZERO, ONE])) == [ONE]


def test_a_lost_connection_is_made_anew() -> None:
    net = Net({ZERO: Played(HostLost("the connection ended"))})
    calls = net.calls()
    assert calls.look([ZERO]) == {}
    assert net.hosts[ZERO].closed
    net.hosts[ZERO].answer = TOLD

    assert ZERO in calls.look([ZERO])
    assert net.logins == ["0", "0"]


def test_a_slot_with_another_address_gets_another_connection() -> None:
    net = Net({ZERO: Played()})
    calls = net.calls()
    calls.look([ZERO])
    net.moved = "-new"

    calls.look([ZERO])

    assert net.logins == ["0", "0-new"]
    assert net.hosts[ZERO].closed


@pytest.mark.parametrize("known", [True, False])
def test_a_host_that_cannot_be_reached_or_is_not_known_is_left_out(known: bool) -> None:
    net = Net({ZERO: Played()} if known else {}, refuses=True)

    assert net.calls().look([ZERO]) == {}


def test_one_slow_host_holds_up_no_other_and_is_not_called_twice() -> None:
    slow = threading.Event()
    net = Net({ZERO: Played(slow), ONE: Played()})
    now = [0.0]
    calls = net.calls(0.3, lambda: now[0])
    began = time.monotonic()

    assert list(calls.look([ZERO, ONE])) == [ONE]
    now[0] += PATIENT_SECONDS + 1
    assert list(calls.look([ZERO, ONE])) == [ONE]

    assert time.monotonic() - began < 5
    assert net.hosts[ZERO].asked == ["look"]
    slow.set()


def test_two_that_look_at_one_host_at_the_same_time_both_see_it() -> None:
    net = Net({ZERO: Played()})
    calls = net.calls()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _number: calls.look([ZERO]), range(40)))

    assert all(ZERO in one for one in found)
    assert net.logins == ["0"]


def test_fifty_hosts_are_asked_at_once() -> None:
    together = threading.Barrier(50, timeout=10)

    class Meeting(Played):
        def run(self, command: str, stdin: bytes = b"", timeout: float = 60) -> Result:
            together.wait()
            return super().run(command, stdin, timeout)

    hosts: dict[SlotId, Played] = {SlotId("burst", index): Meeting() for index in range(50)}
    calls = HostCalls(
        lambda place: Address(str(place.slot), 22, "x", "k"), lambda to: hosts[SlotId("burst", int(to.host))]
    )

    assert len(calls.look(list(hosts))) == 50


@pytest.mark.parametrize(
    ("act", "gate"),
    [(lambda calls: calls.close([ZERO]), "closed"), (lambda calls: calls.open([ZERO]), "open")],
)
def test_gates_are_closed_and_opened(act: Callable[[HostCalls], object], gate: str) -> None:
    net = Net({ZERO: Played({**TOLD, "gate": gate})})

    done = act(net.calls())

    assert net.hosts[ZERO].asked == [gate.removesuffix("d")]
    assert done == ([ZERO] if gate == "open" else None)


def test_a_gate_that_stays_closed_is_not_among_the_open_ones() -> None:
    assert list(Net({ZERO: Played({**TOLD, "gate": "closed"})}).calls().open([ZERO])) == []
