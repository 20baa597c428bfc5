"""A new kit on a machine that serves: it is not held to rules by which it was never rented."""

import json
from dataclasses import replace
from typing import Any

import pytest

from bootstrap.converge import converge
from bootstrap.errors import BootstrapError, HostLost, PreflightFailed
from bootstrap.host import Result
from bootstrap.spec import EndpointSpec, Preflight
from tests.doubles.clock import FakeClock
from tests.doubles.facts import EMPTY
from weights.manifest import PART_BYTES, File, Manifest

SIZE = 2_000_000_000
FILE = File(path="a", size=SIZE, sha256="1" * 64, parts=("1" * 64,) * -(-SIZE // PART_BYTES))
MODEL = Manifest(name="m", files=(FILE,))
KIT = Manifest(name="kit", files=(FILE.model_copy(update={"size": 3, "sha256": "2" * 64, "parts": ("2" * 64,)}),))
SPEC = EndpointSpec(
    name="chat-0",
    model=MODEL,
    kit=KIT,
    served_model="m",
    token="t" * 43,
    addresses=("203.0.113.7",),
    preflight=Preflight(("RTX 4090",), 1, 24_000, disk_gb=2, memory_mb=16_000, disk_mbps=800),
)
OF_BEFORE = {"kit": "0" * 64, "memory_mb": 8000, "model_files": {"a": SIZE}, "model_verified": True}


class Machine:
    """A host that answers with these facts, and whose connection ends when something is to be changed on it."""

    def __init__(self, **facts: Any) -> None:
        self.facts = json.dumps({**EMPTY, **facts})
        self.speeds = 0

    def run(self, _command: str, stdin: bytes = b"", timeout: float = 60) -> Result:
        assert timeout > 0
        if b"Print this host's facts" in stdin:
            return Result(0, self.facts, "")
        if b"write a file for a bounded time" in stdin:
            self.speeds += 1
            return Result(0, json.dumps({"bytes": 1, "seconds": 1.0}), "")
        raise HostLost("something is changed on it")

    def put(self, content: bytes, path: str, mode: int) -> None:
        raise AssertionError((content, path, mode))

    def close(self) -> None:
        raise AssertionError("not ours to close")


class Signing:
    """Blobs of a store, at URLs that are never asked."""

    def presign(self, sha256: str, seconds: int) -> str:
        return f"http://store/{sha256}"

    def store_trouble(self) -> str:
        raise AssertionError("nothing is fetched")

    def store_mbps(self, sha256: str, size: int) -> float | None:
        raise AssertionError("nothing is fetched")

    def warm_archive(self, key: str) -> bytes | None:
        raise AssertionError("nothing is started")

    def sign(self, csr_pem: str, addresses: tuple[str, ...]) -> str:
        raise AssertionError("no certificate is due")


def converged(machine: Machine, spec: EndpointSpec = SPEC) -> tuple[BootstrapError, list[str]]:
    reported: list[str] = []
    with pytest.raises(BootstrapError) as raised:
        converge(machine, spec, Signing(), FakeClock(), lambda phase, text: reported.append(f"{phase}: {text}"))
    return raised.value, reported


def test_a_fresh_machine_is_refused_by_the_rules() -> None:
    error, _reported = converged(Machine(**OF_BEFORE))

    assert isinstance(error, PreflightFailed)
    assert error.reason == "memory"


def test_a_machine_that_serves_gets_its_kit_although_the_rules_would_refuse_it() -> None:
    error, reported = converged(Machine(**OF_BEFORE, vllm_healthy=True, gate_open=True))

    assert str(error) == "something is changed on it"
    assert "it served before and is kept, although there are 8000 MB of memory" in reported[0]


def test_so_does_one_that_served_and_whose_gate_is_closed_by_now() -> None:
    error, _reported = converged(Machine(**OF_BEFORE, online=True))

    assert str(error) == "something is changed on it"


def test_the_disk_of_a_machine_that_served_is_not_measured() -> None:
    other = replace(SPEC, model=MODEL.model_copy(update={"name": "other"}))
    fresh, served = Machine(), Machine(online=True)

    assert isinstance(converged(fresh, other)[0], PreflightFailed)
    assert isinstance(converged(served, other)[0], HostLost)
    assert (fresh.speeds, served.speeds) == (1, 0)
