"""GitHub and GitLab as far as workflows fetch what others left there: over HTTP on loopback, a token asked for.

with artifact_forge() as forge:
    forge.artifacts.append(Artifact("gpu-fleet-review-dev-abc", {"review.json": b"{}"}))
    forge.url
"""

import contextlib
import http.server
import io
import json
import re
import threading
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

TOKEN = "forge-token"
REPOSITORY = "me/fleet"


@dataclass
class Artifact:
    """One artifact with the run that made it. `zipped` replaces what is in the archive."""

    name: str
    files: dict[str, bytes]
    path: str = ".github/workflows/review.yml"
    event: str = "pull_request_target"
    branch: str = "edit"
    repository: str = REPOSITORY
    created: str = "2026-11-30T12:00:00Z"
    expired: bool = False
    zipped: bytes | None = None

    def packed(self) -> bytes:
        if self.zipped is not None:
            return self.zipped
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in self.files.items():
                archive.writestr(name, data)
        return made.getvalue()


@dataclass
class ArtifactForge:
    """What the forge knows. `asked` are the requests, `leaked` the tokens that came to the store of artifacts."""

    url: str = ""
    artifacts: list[Artifact] = field(default_factory=list)
    pulls: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # by commit
    raw: dict[str, bytes] = field(default_factory=dict)  # GitLab's: by path below the API
    merge_requests: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    fails: int = 0  # answers every request with this status
    beside: str = ""  # the address of a double that answers what this one does not know
    token: str = TOKEN

    def answer(self, target: str) -> tuple[int, bytes, str]:  # noqa: PLR0911 -- a route each
        """Return status, body and where to go on."""
        path, _, query = target.partition("?")
        if self.fails:
            return self.fails, b"", ""
        if found := re.fullmatch(rf"/repos/{REPOSITORY}/commits/(\w+)/pulls", path):
            return 200, json.dumps(self.pulls.get(found[1], [])).encode(), ""
        if path == f"/repos/{REPOSITORY}/actions/artifacts":
            name = urllib.parse.parse_qs(query)["name"][0]
            rows = [self._row(number) for number, one in enumerate(self.artifacts) if one.name == name]
            return 200, json.dumps({"total_count": len(rows), "artifacts": rows}).encode(), ""
        if found := re.fullmatch(rf"/repos/{REPOSITORY}/actions/runs/(\d+)", path):
            return 200, json.dumps(self._run(self.artifacts[int(found[1]) - 100])).encode(), ""
        if found := re.fullmatch(rf"/repos/{REPOSITORY}/actions/artifacts/(\d+)/zip", path):
            return 302, b"", f"{self.url.replace('127.0.0.1', 'localhost')}/stored/{found[1]}"
        if found := re.fullmatch(r"/stored/(\d+)", path):
            return 200, self.artifacts[int(found[1])].packed(), ""
        if found := re.fullmatch(r"/projects/7/repository/commits/(\w+)/merge_requests", path):
            return 200, json.dumps(self.merge_requests.get(found[1], [])).encode(), ""
        if target in self.raw:
            return 200, self.raw[target], ""
        return 404, b"", ""

    def _row(self, number: int) -> dict[str, Any]:
        one = self.artifacts[number]
        run = {"id": number + 100, "head_branch": one.branch}
        named = {"id": number, "name": one.name, "expired": one.expired, "created_at": one.created}
        return {**named, "workflow_run": run}

    def _run(self, one: Artifact) -> dict[str, Any]:
        repository = {"full_name": one.repository}
        return {"path": one.path, "event": one.event, "head_branch": one.branch, "repository": repository}


@contextlib.contextmanager
def artifact_forge() -> Iterator[ArtifactForge]:
    forge = ArtifactForge()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            token = self.headers.get("Authorization", "").removeprefix("Bearer ") or self.headers.get(
                "PRIVATE-TOKEN", ""
            )
            forge.asked.append(self.path)
            if self.path.startswith("/stored/"):
                forge.leaked += [token] if token else []
                status, body, place = forge.answer(self.path)
            else:
                status, body, place = forge.answer(self.path) if token == forge.token else (401, b"", "")
            if status == 404 and forge.beside:
                self._pass_on()
                return
            self.send_response(status)
            if place:
                self.send_header("Location", place)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _pass_on(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
            kept = {
                name: value for name, value in self.headers.items() if name.lower() in ("authorization", "content-type")
            }
            request = urllib.request.Request(forge.beside + self.path, data, kept, method=self.command)
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    status, body = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status, body = error.code, error.read()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PATCH = _pass_on  # noqa: N815 -- the names that the server calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the signature above it
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    forge.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield forge
    finally:
        server.shutdown()
        server.server_close()
