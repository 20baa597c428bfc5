"""A hub of models on loopback, as its client library asks it: revisions, digests, gates, ranges, lines that break."""

import contextlib
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from weights.hub import git_blob

SHA = "a" * 40
LARGE = 60  # bytes from which a file is a large one, with a SHA-256


@dataclass
class FakeHub:
    """One repository. `gated` wants `token`; `cut` files break after half of what is asked, as often as it says."""

    repo: str
    contents: dict[str, bytes]
    gated: bool = False
    token: str = ""
    cut: dict[str, int] = field(default_factory=dict)
    lies: dict[str, bytes] = field(default_factory=dict)  # sent in place of the content
    asked: list[tuple[str, str, str, str]] = field(default_factory=list)  # method, path, Range, Authorization
    url: str = ""

    def downloads(self, name: str) -> list[str]:
        """Return the Range of each time a file was sent; empty where there was none."""
        return [ranges for method, path, ranges, _ in self.asked if method == "GET" and path.endswith(f"/{name}")]

    def info(self) -> dict[str, object]:
        rows = []
        for name, content in self.contents.items():
            row: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": git_blob(content)}
            if len(content) >= LARGE:
                row["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 1}
            rows.append(row)
        return {
            "id": self.repo,
            "modelId": self.repo,
            "sha": SHA,
            "siblings": rows,
            "gated": self.gated,
            "private": False,
        }


class _Handler(http.server.BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        authorization = self.headers.get("Authorization") or ""
        self.hub.asked.append((self.command, path, self.headers.get("Range") or "", authorization))
        if path.startswith("/api/models/"):
            self._metadata(path.removeprefix("/api/models/"))
        else:
            self._file(path, authorization)

    def _metadata(self, path: str) -> None:
        repo, _, revision = path.partition("/revision/")
        if repo != self.hub.repo:
            return self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        if revision not in {"", "main", SHA}:
            return self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        return self._send(200, json.dumps(self.hub.info()).encode(), {"Content-Type": "application/json"})

    def _file(self, path: str, authorization: str) -> None:
        place, _, rest = path.partition("/resolve/")
        name = rest.partition("/")[2]
        if place != f"/{self.hub.repo}" or name not in self.hub.contents:
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
        if self.hub.gated and authorization != f"Bearer {self.hub.token}":
            status = 403 if authorization else 401
            return self._send(status, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "gated"})
        content = self.hub.contents[name]
        large = len(content) >= LARGE
        etag = hashlib.sha256(content).hexdigest() if large else git_blob(content)
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": SHA, "Accept-Ranges": "bytes"}
        body = self.hub.lies.get(name, content)
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return self._send(206 if start else 200, body[start:], headers, cut=name)

    def _send(self, status: int, body: bytes, headers: dict[str, str], cut: str = "") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.hub.cut.get(cut, 0) > 0:
            self.hub.cut[cut] -= 1
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def running_hub(hub: FakeHub) -> Iterator[FakeHub]:
    """Serve it, and set its url."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
