"""Serve the host's metrics on loopback, for vmagent. The supervisor starts it with the file of its settings as argument."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server

from monitoring.agent.activity import Activity
from monitoring.agent.collector import HostCollector
from monitoring.agent.gpus import Gpus
from monitoring.agent.own_end import own_end
from monitoring.agent.state import State

PORT = 9181
ETC, RUN = Path("/opt/gpu-fleet/etc"), Path("/run/gpu-fleet")
GATE_METRICS = "http://127.0.0.1:9180/metrics"
HEALTH = "http://127.0.0.1:8000/health"


def main(arguments: list[str]) -> None:
    """Serve until a signal."""
    settings = json.loads(Path(arguments[0]).read_text())
    registry = CollectorRegistry()
    activity = Activity(RUN / "admitted.log", GATE_METRICS)
    state = State(RUN / "open", HEALTH)
    end = CertificateEnd(ETC / "tls.crt")
    phases, ends = partial(phases_of, ETC / "phases.json"), partial(own_end, RUN / "self-destruct.json")
    registry.register(HostCollector(settings, activity, state, Gpus(), end, phases, own_end=ends))
    start_http_server(PORT, "127.0.0.1", registry)
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    over.wait()


def phases_of(file: Path) -> dict[str, float]:
    """Return the seconds of each phase of the last bootstrap; empty if the file is missing or cannot be read."""
    try:
        return {str(phase): float(seconds) for phase, seconds in json.loads(file.read_text()).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


class CertificateEnd:
    """Knows when the certificate in a file ends. It reads the file again after a change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed: int | None = None
        self._end: float | None = None

    def __call__(self) -> float | None:
        """Return unix seconds; None without a readable certificate."""
        try:
            changed = self._path.stat().st_mtime_ns
        except OSError:
            return None
        if changed != self._changed:
            self._end, self._changed = end_of(self._path), changed
        return self._end


def end_of(path: Path) -> float | None:
    """Return when a certificate ends, in unix seconds. Source: openssl, which prints `notAfter=Feb 26 06:57:42 2027 GMT`."""
    command = ["openssl", "x509", "-enddate", "-noout", "-in", str(path)]
    try:
        printed = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
        return ssl.cert_time_to_seconds(printed.strip().partition("=")[2])
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


if __name__ == "__main__":
    main(sys.argv[1:])
