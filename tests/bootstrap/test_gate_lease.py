"""A lease is renewed at the gate: with a token only, written to a log of its own, and no use of the endpoint."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.gate import TOKEN, Gate, running_gate
from tests.doubles.raw_http import RawClient

PASS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    with running_gate(tmp_path_factory.mktemp("gate"), lease=True) as gate:
        yield gate


def lines(file: Path) -> int:
    return len(file.read_text().splitlines()) if file.exists() else 0


def settled(file: Path, least: int) -> int:
    deadline = time.monotonic() + 5
    while lines(file) < least and time.monotonic() < deadline:
        time.sleep(0.01)
    return lines(file)


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("opened", [False, True])
def test_a_lease_is_renewed_with_the_token_whether_the_gate_is_open_or_not(
    gate: Gate, http2: bool, opened: bool
) -> None:
    if opened:
        gate.open()
    elif (gate.run / "open").exists():
        gate.close()
    before = lines(gate.run / "lease.log")

    with gate.client(http2) as client:
        answer = client.post("/lease", headers=PASS)

    assert (answer.status_code, answer.content) == (204, b"")
    assert settled(gate.run / "lease.log", before + 1) == before + 1
    assert not lines(gate.run / "admitted.log")
    assert gate.upstream.seen == []


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("authorization", ["", "Bearer ", f"Bearer {TOKEN}x", "Bearer *"])
def test_nobody_renews_it_without_the_token(gate: Gate, http2: bool, authorization: str) -> None:
    before = lines(gate.run / "lease.log")

    raw = RawClient(gate.port, gate.tls.ca, http2)
    assert raw.ask("POST", "/lease", [("Authorization", authorization)]).status == 401
    with gate.client(http2) as client:
        assert client.post("/lease").status_code == 401
        assert client.get("/lease", headers=PASS).status_code == 404
        assert client.post("/lease/x", headers=PASS).status_code == 404

    time.sleep(0.1)
    assert lines(gate.run / "lease.log") == before


def test_requests_for_work_renew_no_lease(gate: Gate) -> None:
    gate.open()
    before = lines(gate.run / "lease.log")

    with gate.client() as client:
        assert client.post("/v1/completions", headers=PASS, json={}).status_code == 200

    assert settled(gate.run / "admitted.log", 1) == 1
    assert lines(gate.run / "lease.log") == before
    assert TOKEN not in (gate.run / "lease.log").read_text() + (gate.run / "admitted.log").read_text()


def test_a_fleet_without_a_lease_has_no_such_door(tmp_path: Path) -> None:
    with running_gate(tmp_path) as plain, plain.client() as client:
        assert client.post("/lease", headers=PASS).status_code == 404
