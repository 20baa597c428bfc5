"""The probe against the real gate: what it proves, and whose fault it names."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bootstrap.clock import SystemClock
from bootstrap.errors import EngineDied, GateOpen, HostKeyMismatch, HostUnreachable, StepFailed
from bootstrap.probe import FORBIDDEN, probe
from tests.doubles.gate import TOKEN, Gate, running_gate
from tests.doubles.ports import free_port
from tests.doubles.tls import pair

pytestmark = pytest.mark.service


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


def changed(gate: Gate, old: str, new: str) -> None:
    """Somebody changed the gate on the host."""
    config = gate.etc / "gate.wanted"
    assert old in config.read_text()
    config.write_text(config.read_text().replace(old, new))
    gate.stop()
    gate.start()


def test_completions_for_strangers_are_found(gate: Gate) -> None:
    changed(gate, "@api path /v1/*", f"handle /v1/* {{\n{served_by(gate)}\n}}\n@api path /nothing")

    with pytest.raises(GateOpen, match="answers 200 to a completion without a token"):
        probe(gate.url, gate.tls.ca, TOKEN, "tiny", SystemClock(), 10)


def test_a_refusal_by_anything_but_the_token_rule_proves_nothing(gate: Gate) -> None:
    """404 for strangers may be 200 for the next path: only the gate's own 401 says that the token rule is at work."""
    changed(gate, "@api path /v1/*", "@api path /nothing")

    with pytest.raises(GateOpen, match="answers 404 to a completion without a token"):
        probe(gate.url, gate.tls.ca, TOKEN, "tiny", SystemClock(), 10)


@pytest.mark.parametrize("status", [502, 503])
def test_a_broken_answer_to_a_stranger_is_no_hole(gate: Gate, status: int) -> None:
    changed(gate, "@api path /v1/*", f"respond /v1/* {status}\n@api path /nothing")

    with pytest.raises(EngineDied, match=f"answers {status}"):
        probe(gate.url, gate.tls.ca, TOKEN, "tiny", SystemClock(), 0.2)


@pytest.mark.parametrize("path", FORBIDDEN)
def test_each_unguarded_route_of_vllm_is_found(gate: Gate, path: str) -> None:
    changed(gate, "@api path", f"handle {path} {{\n{served_by(gate)}\n}}\n@api path")

    with pytest.raises(GateOpen, match=f"{path} answers 200 to anybody"):
        probe(gate.url, gate.tls.ca, TOKEN, "tiny", SystemClock(), 10)


def test_metrics_are_among_them() -> None:
    assert {"/metrics", "/invocations"} <= set(FORBIDDEN)


def served_by(gate: Gate) -> str:
    return f"reverse_proxy 127.0.0.1:{gate.upstream.port}"


@pytest.mark.parametrize("status", [500, 502, 503])
def test_an_engine_that_fails_to_the_end_has_died(gate: Gate, status: int) -> None:
    gate.upstream.status = status

    with pytest.raises(EngineDied, match=f"answers {status} instead of a completion"):
        probe(gate.url, gate.tls.ca, TOKEN, "tiny", SystemClock(), 0.2)
    assert len(gate.upstream.seen) > 0


def test_a_gate_without_an_engine_is_not_an_answer(gate: Gate) -> None:
    changed(gate, served_by(gate), f"reverse_proxy 127.0.0.1:{free_port()}")

    with pytest.raises(EngineDied, match="answers 502"):
        probe(gate.url, gate.tls.ca, TOKEN, "tiny", SystemClock(), 0.2)


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_refused_request_is_not_asked_again(gate: Gate, status: int) -> None:
    gate.upstream.status = status

    with pytest.raises(StepFailed, match=f"answers {status} to a completion of 'tiny'"):
        probe(gate.url, gate.tls.ca, TOKEN, "tiny", SystemClock(), 60)
    assert len(gate.upstream.seen) == 1


def test_a_token_that_the_gate_does_not_take_is_not_tried_again(gate: Gate) -> None:
    other = "other-" + "z" * 37

    with pytest.raises(StepFailed, match="answers 401 to the token") as caught:
        probe(gate.url, gate.tls.ca, other, "tiny", SystemClock(), 60)
    assert other not in str(caught.value)
    assert gate.upstream.seen == []


class Counting(SystemClock):
    """A clock on which something happens while somebody waits between two requests."""

    def __init__(self, happens: Callable[[], None], asked: float) -> None:
        self._happens, self._asked = happens, asked

    def sleep(self, seconds: float) -> None:
        if seconds >= self._asked:
            self._happens()
        super().sleep(min(seconds, 0.01))


def test_an_engine_that_comes_up_meanwhile_is_waited_for(gate: Gate) -> None:
    gate.upstream.status = 503

    def recover() -> None:
        gate.upstream.status = 200

    assert probe(gate.url, gate.tls.ca, TOKEN, "tiny", Counting(recover, 0.1), 30).text == "a completion"
    assert len(gate.upstream.seen) == 2


def test_a_gate_that_comes_up_meanwhile_is_waited_for(gate: Gate) -> None:
    gate.stop()

    assert probe(gate.url, gate.tls.ca, TOKEN, "tiny", Counting(gate.start, 0.1), 30).text == "a completion"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{"text": null}]}'])
def test_an_answer_that_is_no_completion_is_none(gate: Gate, body: bytes) -> None:
    gate.upstream.body = body

    with pytest.raises(EngineDied, match="answers 200, but no completion"):
        probe(gate.url, gate.tls.ca, TOKEN, "tiny", SystemClock(), 30)


def test_an_engine_that_hangs_ends_near_the_deadline(gate: Gate) -> None:
    gate.upstream.go_on.clear()
    began = time.monotonic()

    with pytest.raises(HostUnreachable, match="no answer within"):
        probe(gate.url, gate.tls.ca, TOKEN, "tiny", SystemClock(), 0.3)
    assert time.monotonic() - began < 15


def test_proxies_of_the_operators_environment_are_not_asked(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    assert probe(gate.url, gate.tls.ca, TOKEN, "tiny", SystemClock(), 10).text == "a completion"


class Vanishing(SystemClock):
    """A clock whose engine goes away while somebody waits."""

    def sleep(self, seconds: float) -> None:
        raise KeyboardInterrupt


def test_a_wait_can_be_called_off_while_a_request_is_under_way(gate: Gate) -> None:
    gate.upstream.go_on.clear()

    with pytest.raises(KeyboardInterrupt):
        probe(gate.url, gate.tls.ca, TOKEN, "tiny", Vanishing(), 60)
