"""The real gate on free loopback ports, in front of an upstream that tells what reached it."""

import contextlib
import http.server
import json
import ssl
import subprocess
import sysconfig
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from bootstrap.gate import Places, caddyfile
from tests.doubles.ports import free_ports
from tests.doubles.tls import Pair, pair

CADDY = Path(sysconfig.get_path("scripts")) / "caddy"
ADDRESS = "203.0.113.7"  # what clients use; the gate, behind a landlord's router, does not have it itself
TOKEN = "good_" + "A1-" * 13


CLOSING_S = 0.03


@dataclass
class Upstream:
    """Stands where vLLM listens: answers everything with 200 and keeps what it was asked. `slow` holds answers back."""

    port: int = 0
    seen: list[tuple[str, str, str | None]] = field(default_factory=list)  # method, path, Authorization
    text: str = "a completion"
    body: bytes | None = None  # instead of a completion
    halfway: threading.Event | None = None  # half of the body is held back until it is set
    status: int = 200
    go_on: threading.Event = field(default_factory=threading.Event)


@dataclass
class Gate:
    """A running gate. `etc` holds its token files and certificate, `run` the open file and admitted.log."""

    port: int
    metrics_port: int
    etc: Path
    run: Path
    tls: Pair
    upstream: Upstream
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Run Caddy with etc/gate.wanted, and wait until it answers."""
        command = ["setpriv", "--pdeathsig", "KILL", str(CADDY), "run", "--config", str(self.etc / "gate.wanted")]
        environment = {"XDG_DATA_HOME": str(self.run), "XDG_CONFIG_HOME": str(self.run), "PATH": "/usr/bin:/bin"}
        with (self.run / "caddy.log").open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--adapter", "caddyfile"], stdout=log, stderr=subprocess.STDOUT, env=environment
            )
        _wait_until_it_answers(self)
        self.upstream.seen.clear()

    def stop(self) -> None:
        """End Caddy at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def open(self) -> None:
        (self.run / "open").touch()

    def close(self) -> None:
        (self.run / "open").unlink()

    def write_token(self, text: str | None, name: str = "token") -> None:
        """Write a token file the way the bootstrap does: whole, by a rename; None removes it."""
        target = self.etc / name
        if text is None:
            target.unlink(missing_ok=True)
            return
        part = self.etc / f"{name}.part"
        part.write_text(text)
        part.rename(target)

    def client(self, http2: bool = False) -> httpx.Client:
        context = ssl.create_default_context(cadata=self.tls.ca)
        return httpx.Client(base_url=self.url, verify=context, http1=not http2, http2=http2, trust_env=False)

    def in_flight(self) -> float:
        text = httpx.get(f"http://127.0.0.1:{self.metrics_port}/metrics", trust_env=False).text
        lines = [
            line
            for line in text.splitlines()
            if line.startswith("caddy_http_requests_in_flight") and 'server="door"' in line
        ]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


@contextlib.contextmanager
def running_upstream(idle: float | None = None) -> Iterator[Upstream]:
    """Start it; `idle`: seconds after which it closes a connection on which nothing is asked, as vLLM does."""
    state = Upstream()
    state.go_on.set()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = idle

        def finish(self) -> None:
            if idle is not None:
                time.sleep(CLOSING_S)  # a busy event loop closes a moment after it has decided to
            super().finish()

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._answer()

        def _answer(self) -> None:
            state.seen.append((self.command, self.path, self.headers.get("Authorization")))
            state.go_on.wait(30)
            completion = json.dumps({"choices": [{"text": state.text}]}).encode()
            body = completion if state.body is None else state.body
            self.send_response(state.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            half = len(body) // 2 if state.halfway is not None else 0
            self.wfile.write(body[:half])
            if state.halfway is not None:
                state.halfway.wait(30)
            self.wfile.write(body[half:])

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def running_gate(
    folder: Path, idle: float | None = None, *, lease: bool = False, **places_changed: Any
) -> Iterator[Gate]:
    """Start Caddy with the configuration that hosts get: closed, with TOKEN good. `idle` is the upstream's."""
    etc, run = folder / "etc", folder / "run"
    etc.mkdir()
    run.mkdir()
    tls = pair((ADDRESS, "127.0.0.1"))
    (etc / "tls.crt").write_text(tls.certificate)
    (etc / "tls.key").write_text(tls.key)
    (etc / "token").write_text(TOKEN)
    with running_upstream(idle) as upstream:
        port, metrics_port = free_ports(2)
        gate = Gate(port, metrics_port, etc, run, tls, upstream)
        places = Places(str(etc), str(run), gate.metrics_port, f"127.0.0.1:{upstream.port}", "127.0.0.1")
        places = replace(places, **places_changed)
        (etc / "gate.wanted").write_text(caddyfile(gate.port, places, lease=lease))
        try:
            gate.start()
            yield gate
        finally:
            gate.stop()


def _wait_until_it_answers(gate: Gate) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and gate.process is not None and gate.process.poll() is None:
        with contextlib.suppress(httpx.HTTPError), gate.client() as client:
            client.get("/nothing")
            return
        time.sleep(0.02)
    status = gate.process.poll() if gate.process else None
    raise AssertionError(f"the gate does not answer (status {status}): {(gate.run / 'caddy.log').read_text()[-2000:]}")
