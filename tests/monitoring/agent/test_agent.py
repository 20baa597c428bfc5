"""The agent: who is being served, what the endpoint is, what GPUs and machine say, and that the door takes all of it."""

import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from monitoring.agent import machine
from monitoring.agent.__main__ import CertificateEnd, end_of, phases_of
from monitoring.agent.activity import Activity
from monitoring.agent.collector import HostCollector
from monitoring.agent.gpus import Gpus
from monitoring.agent.state import STARTING_SECONDS, State
from monitoring.receiver.admission import Sender, own_labels
from tests.doubles.nvml import Nvml
from tests.doubles.tls import pair


class Gate(http.server.BaseHTTPRequestHandler):
    """The gate's metrics and vLLM's health, as far as the agent looks."""

    busy: float | None = 0.0
    healthy = True

    def do_GET(self) -> None:
        cls = type(self)
        body = b""
        if self.path == "/metrics" and cls.busy is not None:
            rows = (("door", cls.busy), ("mon", 1))
            text = [f'caddy_http_requests_in_flight{{handler="subroute",server="{name}"}} {n}' for name, n in rows]
            body = "\n".join(text).encode()
        self.send_response(200 if cls.healthy or self.path == "/metrics" else 503)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def gate() -> Iterator[tuple[type[Gate], str]]:
    class Own(Gate):
        pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Own)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Own, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Clocks:
    def __init__(self) -> None:
        self.now = 1000.0

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now

    def monotonic(self) -> float:
        return self.now


def line(status: int = 200) -> str:
    return json.dumps({"level": "info", "status": status, "duration": 0.0}) + "\n"


def test_idleness_counts_from_ready_and_every_admitted_request_ends_it(gate: Any, tmp_path: Path) -> None:
    cls, url = gate
    clocks, log = Clocks(), tmp_path / "admitted.log"
    log.write_text(line() * 3)
    activity = Activity(log, f"{url}/metrics", clocks.wall, clocks.monotonic)
    activity.look(ready=False)
    before = activity.idle_seconds
    assert before is None

    activity.look(ready=True)
    clocks.now += 30
    activity.look(ready=True)
    assert activity.idle_seconds == 30

    log.write_text(line() * 3 + line(499) + '{"half')  # aborted by its client between two looks
    activity.look(ready=True)
    assert activity.idle_seconds == 0
    assert activity.requests == {"499": 1}

    clocks.now += 40
    cls.busy = 2.0
    activity.look(ready=True)
    assert (activity.idle_seconds, activity.in_flight) == (0, 2.0)


def test_unused_is_idle_beyond_a_grace_and_only_while_somebody_looks(gate: Any, tmp_path: Path) -> None:
    _, url = gate
    clocks, log = Clocks(), tmp_path / "admitted.log"
    activity = Activity(log, f"{url}/metrics", clocks.wall, clocks.monotonic)
    activity.look(ready=True)

    for _ in range(20):
        clocks.now += 15
        activity.look(ready=True)
    assert activity.unused_seconds == 0  # 300 s are the grace
    clocks.now += 15
    activity.look(ready=True)
    assert activity.unused_seconds == 15
    clocks.now += 3600  # nobody looked for an hour
    activity.look(ready=True)
    clocks.now += 15
    activity.look(ready=False)
    assert activity.unused_seconds == 15

    log.write_text(line())  # the log's first line ever
    clocks.now += 15
    activity.look(ready=True)
    assert (activity.idle_seconds, activity.requests, activity.unused_seconds) == (0, {"200": 1}, 15)


def test_a_rolled_log_goes_on_and_a_gate_that_is_silent_is_unknown(gate: Any, tmp_path: Path) -> None:
    _, url = gate
    clocks, log = Clocks(), tmp_path / "admitted.log"
    log.write_text(line() * 9)
    activity = Activity(log, f"{url}/metrics", clocks.wall, clocks.monotonic)
    activity.look(ready=True)
    log.rename(tmp_path / "admitted-1.log")
    log.write_text(line() * 2)
    activity.look(ready=True)
    assert activity.requests == {"200": 2}

    silent = Activity(log, "http://127.0.0.1:1/metrics", clocks.wall, clocks.monotonic)
    silent.look(ready=True)
    assert (silent.in_flight, silent.idle_seconds) == (None, None)


def test_ready_is_an_open_gate_and_an_answer_behind_it(gate: Any, tmp_path: Path) -> None:
    cls, url = gate
    clocks = Clocks()
    cls.healthy = False
    state = State(tmp_path / "open", f"{url}/health", clocks.monotonic)
    assert state.look() == "starting"
    cls.healthy = True
    assert state.look() == "closed"
    (tmp_path / "open").touch()
    assert state.look() == "ready"
    cls.healthy = False
    assert state.look() == "down"
    clocks.now += STARTING_SECONDS + 1
    (tmp_path / "open").unlink()
    assert state.look() == "down"
    cls.healthy = True
    assert state.look() == "closed"
    cls.healthy = False
    assert state.look() == "starting"
    clocks.now += STARTING_SECONDS + 1
    assert state.look() == "down"


def test_a_gpu_says_what_it_knows_and_what_it_does_not_is_left_out() -> None:
    [found] = Gpus(nvml=Nvml()).look()

    assert found["utilization"] == 0.37
    assert (found["watts"], found["celsius"], found["uuid"]) == (250.5, 61, "GPU-1")
    assert {why for why, on in found["throttled"].items() if on} == {"hw_thermal", "power_cap"}
    assert not {"watts_limit", "uncorrected", "corrected"} & set(found)


def test_without_nvml_nvidia_smi_is_asked_and_no_gpu_is_no_row() -> None:
    def run(*_: Any, **__: Any) -> Any:
        row = "GPU-2, RTX 3090, 550.1, 12, 100, 24564, 40, 22.50, [N/A], 3\n"
        return subprocess.CompletedProcess([], 0, row, "")

    def fails(*_: Any, **__: Any) -> Any:
        raise FileNotFoundError

    gone = Nvml()
    gone.lost = True
    [found] = Gpus(nvml=gone, run=run).look()
    assert (found["utilization"], found["memory_used"], found["uncorrected"]) == (0.12, 100 * 2**20, 3)
    assert "watts_limit" not in found
    assert Gpus(nvml=gone, run=fails).look() == []


def test_the_machine_is_read_out_of_proc() -> None:
    net = "Inter-|\n face |\n    lo: 9 0 0 0 0 0 0 0 9 0\n  eth0: 100 1 0 0 0 0 0 0 40 1\n"
    assert machine.network(net) == {"received": 100, "sent": 40}
    assert machine.memory("MemTotal: 2048 kB\nMemAvailable: 1024 kB\n") == (1024 * 1024, 2048 * 1024)
    busy, every = machine.processors("cpu 100 0 100 700 100 0 0 0 0 0\ncpu0 1\n")
    assert busy / every == pytest.approx(0.2)
    assert machine.read("/nowhere") == ""


def test_the_certificates_end_is_read_anew_when_it_is_another_one(tmp_path: Path) -> None:
    ends = CertificateEnd(tmp_path / "tls.crt")
    assert ends() is None
    text = pair(("127.0.0.1",)).certificate
    (tmp_path / "tls.crt").write_text(text)

    assert ends() == x509.load_pem_x509_certificate(text.encode()).not_valid_after_utc.timestamp()
    assert end_of(tmp_path / "tls.crt") == ends()
    (tmp_path / "tls.crt").write_text("rubbish")
    assert ends() is None


def test_everything_that_the_agent_says_the_door_takes(gate: Any, tmp_path: Path) -> None:
    _, url = gate
    clocks = Clocks()
    (tmp_path / "open").touch()
    activity = Activity(tmp_path / "admitted.log", f"{url}/metrics", clocks.wall, clocks.monotonic)
    state = State(tmp_path / "open", f"{url}/health", clocks.monotonic)
    registry = CollectorRegistry()
    order = {"model": "tiny", "digest": "a" * 64}
    registry.register(
        HostCollector(order, activity, state, Gpus(nvml=Nvml()), lambda: 2e9, lambda: {"start": 2.5}, tmp_path)
    )
    rows = [
        row for family in text_string_to_metric_families(generate_latest(registry).decode()) for row in family.samples
    ]
    refused = [
        row.name
        for row in rows
        if not own_labels([("__name__", row.name), ("job", "agent"), *row.labels.items()], Sender("7", "chat-0", "abc"))
    ]

    assert refused == []
    names = {row.name for row in rows}
    assert {"vast_instance_state", "vast_instance_inflight_requests", "vast_instance_idle_seconds"} <= names
    assert "vast_instance_last_request_timestamp_seconds" in names
    assert len({(row.name, *sorted(row.labels.items())) for row in rows}) == len(rows)


@pytest.mark.parametrize("text", [None, "", "[]", "{", '{"start": "long"}', '{"start": null}'])
def test_times_that_nobody_left_or_nobody_can_read_are_left_out(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "phases.json").write_text(text)

    assert phases_of(tmp_path / "phases.json") == {}
