"""The hosts of slots over kept SSH connections: look at gates, close and open them, many at once.

A host that does not answer in time is left out of the answer: it is unknown, which is neither closed nor idle. One slow host
holds up no other, and no call takes longer than `CALL_SECONDS` and a little.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bootstrap.clock import SystemClock
from bootstrap.connect import connect
from bootstrap.errors import BootstrapError, StepFailed
from bootstrap.host import Host
from bootstrap.remote_scripts import answer, python
from controller.demand import HostLoad
from controller.leaving import Gate, GateLook
from controller.ports import HostObservation, SlotId

CALL_SECONDS = 8.0  # for one look with its login; a good one takes a tenth of a second
CONNECT_SECONDS = 5.0  # further tries to log in begin until then
PATIENT_SECONDS = 2.0  # a call that has been under way for longer is not waited for by a second one
MOST_AT_ONCE = 64
SCRIPT, MODULES = "slot_gate.py", ("gate_looks",)


@dataclass(frozen=True)
class Address:
    """Where a slot's host is reached, and by which key. `host_key` is the pinned fingerprint."""

    host: str
    port: int
    host_key: str
    private_key: str = field(repr=False)


class GateAnswer(BaseModel):
    """What bootstrap/scripts/slot_gate.py prints."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    gate: Literal["open", "closed"]
    in_flight: int | None = Field(None, ge=0)
    engine: int | None = Field(None, ge=0)
    admitted: str = Field(max_length=200)
    idle: float | None = Field(None, ge=0)
    ending: str = Field("", max_length=200)
    opens: bool | None = None

    @property
    def requests(self) -> int | None:
        """The requests that a destroy would cut: the gate counts all that have a client, vLLM also those without one."""
        return None if self.in_flight is None else max(self.in_flight, self.engine or 0)


class HostCalls:
    """Satisfies `Hosts`. `address_of` returns a slot's address, None while it is unknown; `log_in` opens a connection."""

    def __init__(
        self,
        address_of: Callable[[SlotId], Address | None],
        log_in: Callable[[Address], Host] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._address_of, self._log_in, self._monotonic = address_of, log_in or logged_in, monotonic
        self._call_seconds = call_seconds
        self._kept: dict[SlotId, tuple[Address, Host]] = {}
        self._calling: dict[SlotId, float] = {}  # since when
        self._turns: dict[SlotId, threading.Lock] = {}
        self._guard = threading.Lock()
        self._pool = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="host")

    def look(self, places: Collection[SlotId]) -> Mapping[SlotId, HostObservation]:
        """Return what each host tells now; one that does not tell is absent."""
        return self._all(places, "look")

    def close(self, places: Collection[SlotId]) -> None:
        """Close the gates, as far as hosts answer."""
        self._all(places, "close")

    def open(self, places: Collection[SlotId]) -> Collection[SlotId]:
        """Open the gates that a controller closed, on hosts that serve; return those that are open now."""
        return [place for place, sight in self._all(places, "open").items() if sight.look.gate is Gate.OPEN]

    def end(self) -> None:
        """Close all connections; for the end of the process."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._guard:
            kept, self._kept = self._kept, {}
        for _address, host in kept.values():
            _close(host)

    def _all(self, places: Collection[SlotId], act: str) -> dict[SlotId, HostObservation]:
        """Call all hosts side by side. One that has not answered an earlier call for seconds is unknown."""
        now = self._monotonic()
        with self._guard:
            free = [place for place in dict.fromkeys(places) if now - self._calling.get(place, now) <= PATIENT_SECONDS]
        calls: dict[SlotId, Future[HostObservation | None]] = {}
        for place in free:
            calls[place] = self._pool.submit(self._call, place, act)
        wait(calls.values(), timeout=self._call_seconds)
        found = {place: call.result() for place, call in calls.items() if call.done() and not call.cancelled()}
        return {place: sight for place, sight in found.items() if sight is not None}

    def _call(self, place: SlotId, act: str) -> HostObservation | None:
        with self._guard:
            turn = self._turns.setdefault(place, threading.Lock())
        if not turn.acquire(timeout=self._call_seconds):
            return None
        with self._guard:
            self._calling[place] = self._monotonic()
        try:
            host = self._connected(place)
            if host is None:
                return None
            asked = self._monotonic()
            gate_answer = GateAnswer.model_validate(
                answer(python(host, SCRIPT, {"act": act}, self._call_seconds, MODULES), f"the gate of {place}")
            )
        except StepFailed:
            return None  # the host works, and its answer does not
        except (BootstrapError, ValidationError, OSError, EOFError):
            self._drop(place)
            return None
        else:
            return sight_of(gate_answer, asked, self._monotonic())
        finally:
            with self._guard:
                self._calling.pop(place, None)
            turn.release()

    def _connected(self, place: SlotId) -> Host | None:
        address = self._address_of(place)
        with self._guard:
            known = self._kept.get(place)
        if known is not None and known[0] == address:
            return known[1]
        self._drop(place)
        if address is None:
            return None
        host = self._log_in(address)
        with self._guard:
            self._kept[place] = (address, host)
        return host

    def _drop(self, place: SlotId) -> None:
        with self._guard:
            known = self._kept.pop(place, None)
        if known is not None:
            _close(known[1])


def sight_of(gate_answer: GateAnswer, asked: float, now: float) -> HostObservation:
    """Return a look and a measure of load from what a host told. Moments are of the controller's monotonic clock."""
    gate = Gate.OPEN if gate_answer.gate == "open" else Gate.CLOSED
    look = GateLook(asked, gate, gate_answer.requests, gate_answer.admitted)
    return HostObservation(
        look,
        HostLoad(gate_answer.requests, gate_answer.idle, now - asked, gate_answer.admitted, opens=gate_answer.opens),
    )


def logged_in(address: Address) -> Host:
    """Log in within seconds. Raises bootstrap errors."""
    return connect(
        address.host,
        address.port,
        address.private_key,
        address.host_key,
        SystemClock(),
        CONNECT_SECONDS,
        lambda _phase, _text: None,
    )


def _close(host: Host) -> None:
    with contextlib.suppress(Exception):  # whatever it was, the connection is not used any more
        host.close()
