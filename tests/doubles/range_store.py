"""A store with range requests that can be told to lie, and the fetch script against it, as a host runs it."""

import hashlib
import http.server
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bootstrap import remote_scripts

PART = 1000


@dataclass
class Store:
    """A store with range requests that can be told to lie. `spoil[path]`: how many answers come out damaged."""

    port: int = 0
    blobs: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    spoil: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    status: int | None = None
    body: bytes = b""
    answers_of_status: int = 1_000_000
    hold: threading.Event = field(default_factory=threading.Event)  # with `stop_after`: set, it lets go
    stop_after: int | None = None  # bytes of one answer, then nothing more comes


@pytest.fixture
def store() -> Iterator[Store]:
    state = Store()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].lstrip("/")
            state.requests.append(self.headers["Range"])
            refused = state.status and len(state.requests) <= state.answers_of_status
            if refused or path not in state.blobs:
                self.send_response(state.status if refused and state.status else 404)
                self.send_header("Content-Length", str(len(state.body)))
                self.end_headers()
                self.wfile.write(state.body)
                return
            first, last = map(int, re.findall(r"\d+", self.headers["Range"]))
            body = state.blobs[path][first : last + 1]
            self.send_response(206)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if state.cut.get(path, 0) > 0:
                state.cut[path] -= 1
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
                return
            if state.stop_after is not None:
                self.wfile.write(body[: state.stop_after])
                state.hold.wait(30)
                self.close_connection = True
                return
            if state.spoil.get(path, 0) > 0:
                state.spoil[path] -= 1
                body = bytes([body[0] ^ 1]) + body[1:]
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


def entry(store: Store, path: str, data: bytes, part_bytes: int = PART) -> dict[str, Any]:
    store.blobs[path] = data
    parts = [hashlib.sha256(data[at : at + part_bytes]).hexdigest() for at in range(0, len(data), part_bytes)]
    return {
        "path": path,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "parts": parts,
        "url": f"http://127.0.0.1:{store.port}/{path}?X-Amz-Signature=secret",
    }


def program(target: Path, files: list[dict[str, Any]], **changes: Any) -> str:
    order = {
        "target": str(target),
        "files": files,
        "part_bytes": PART,
        "connections": 2,
        "least_mbps": 0,
        "pause_seconds": 0,
        "patience_seconds": 0,
        "urls_last_seconds": 3600,
        "rate_after_seconds": 4,
        "rate_over_seconds": 15,
        **changes,
    }
    return remote_scripts.program("fetch.py", order)


def fetch(target: Path, files: list[dict[str, Any]], **changes: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-S", "-"],
        input=program(target, files, **changes),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def start(target: Path, files: list[dict[str, Any]], **changes: Any) -> subprocess.Popen[str]:
    text = program(target, files, **changes)
    return subprocess.Popen(
        [sys.executable, "-S", "-c", text], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    )
