"""The probe against the real gate: what it proves, and whose fault it names."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.clock import SystemClock
from bootstrap.errors import EngineDied, GateOpen, HostKeyMismatch, HostUnreachable
from bootstrap.probe import probe
from tests.doubles.gate import TOKEN, Gate, running_gate
from tests.doubles.ports import free_port
from tests.doubles.tls import pair


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    with running_gate(tmp_path) as gate:
        gate.open()
        yield gate


def test_a_completion_proves_the_endpoint(gate: Gate) -> None:
    answer = probe(gate.url, gate.tls.ca, TOKEN, "tiny", SystemClock(), 10)

    assert answer.text == "a completion"
    assert 0 < answer.seconds < 10
    assert gate.upstream.seen == [
        ("POST", "/v1/completions", None)
    ]  # strangers' requests went no further than the gate


def test_a_closed_gate_is_not_an_answer(gate: Gate) -> None:
    gate.close()

    with pytest.raises(EngineDied, match="answers 503"):
        probe(gate.url, gate.tls.ca, TOKEN, "tiny", SystemClock(), 0.2)


def test_a_server_of_another_ca_gets_no_token(gate: Gate) -> None:
    with pytest.raises(HostKeyMismatch, match="no token was sent"):
        probe(gate.url, pair(("127.0.0.1",)).ca, TOKEN, "tiny", SystemClock(), 30)

    assert gate.upstream.seen == []


def test_nobody_there_ends_at_the_deadline(gate: Gate) -> None:
    with pytest.raises(HostUnreachable, match="does not answer"):
        probe(f"https://127.0.0.1:{free_port()}", gate.tls.ca, TOKEN, "tiny", SystemClock(), 0.2)


@pytest.mark.parametrize("closed", ["@api path /v1/*", "respond 404"])
def test_a_hole_in_the_gate_is_found(gate: Gate, closed: str) -> None:
    """Somebody changed the gate on the host: it serves completions without a token, or vLLM's unguarded routes."""
    config = gate.etc / "gate.wanted"
    served = f"reverse_proxy 127.0.0.1:{gate.upstream.port}"
    holes = {"@api path /v1/*": f"handle /v1/* {{\n{served}\n}}\n@api path /nothing", "respond 404": served}
    config.write_text(config.read_text().replace(closed, holes[closed]))
    gate.stop()
    gate.start()

    with pytest.raises(GateOpen, match="was expected"):
        probe(gate.url, gate.tls.ca, TOKEN, "tiny", SystemClock(), 10)


class Vanishing(SystemClock):
    """A clock whose engine goes away while somebody waits."""

    def sleep(self, seconds: float) -> None:
        raise KeyboardInterrupt


def test_a_wait_can_be_called_off_while_a_request_is_under_way(gate: Gate) -> None:
    gate.upstream.go_on.clear()

    with pytest.raises(KeyboardInterrupt):
        probe(gate.url, gate.tls.ca, TOKEN, "tiny", Vanishing(), 60)
