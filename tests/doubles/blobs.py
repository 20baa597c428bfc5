"""A store as a host sees it through presigned URLs: blobs by digest, with ranges; nothing is checked but the path."""

import contextlib
import http.server
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from weights.manifest import Manifest


@dataclass
class Blobs:
    """Where it listens, and which file each digest stands for. `requests` are the digests that were asked for."""

    port: int = 0
    files: dict[str, Path] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def add(self, manifest: Manifest, folder: Path) -> None:
        """Offer every file of a manifest."""
        self.files |= {file.sha256: folder / file.path for file in manifest.files}


@contextlib.contextmanager
def running_blobs() -> Iterator[Blobs]:
    """Serve on a loopback port."""
    state = Blobs()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            digest = self.path.partition("?")[0].lstrip("/")
            state.requests.append(digest)
            if digest not in state.files:
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            first, last = map(int, re.findall(r"\d+", self.headers["Range"]))
            with state.files[digest].open("rb") as stream:
                stream.seek(first)
                body = stream.read(last - first + 1)
            self.send_response(206)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

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
        server.shutdown()
        server.server_close()
        thread.join()
