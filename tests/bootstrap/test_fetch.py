"""The fetch script as it runs on a host: parts held to their digests, resumed, and each refusal with its own number."""

import contextlib
import hashlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "bootstrap/scripts/fetch.py"
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


@pytest.fixture
def store() -> Iterator[Store]:
    state = Store()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].lstrip("/")
            state.requests.append(self.headers["Range"])
            if state.status or path not in state.blobs:
                self.send_response(state.status or 404)
                self.send_header("Content-Length", "0")
                self.end_headers()
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


def entry(store: Store, path: str, data: bytes) -> dict[str, Any]:
    store.blobs[path] = data
    parts = [hashlib.sha256(data[at : at + PART]).hexdigest() for at in range(0, len(data), PART)]
    return {
        "path": path,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "parts": parts,
        "url": f"http://127.0.0.1:{store.port}/{path}?X-Amz-Signature=secret",
    }


def fetch(target: Path, files: list[dict[str, Any]], **changes: Any) -> subprocess.CompletedProcess[str]:
    order = {
        "target": str(target),
        "files": files,
        "part_bytes": PART,
        "connections": 2,
        "least_mbps": 0,
        "pause_seconds": 0,
        **changes,
    }
    program = f"import json\nORDER = json.loads({json.dumps(order)!r})\n" + SCRIPT.read_text()
    return subprocess.run(
        [sys.executable, "-S", "-"], input=program, capture_output=True, text=True, timeout=60, check=False
    )


def test_files_arrive_whole_and_only_under_their_final_name(store: Store, tmp_path: Path) -> None:
    files = [
        entry(store, "a.bin", os.urandom(3500)),
        entry(store, "deep/b.bin", os.urandom(10)),
        entry(store, "e", b""),
    ]

    done = fetch(tmp_path / "model", files)

    assert done.returncode == 0, done.stderr
    assert {file["path"]: (tmp_path / "model" / file["path"]).read_bytes() for file in files} == store.blobs
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.verified"]
    assert json.loads(done.stdout)["bytes"] == 3510
    assert "secret" not in done.stdout + done.stderr


def test_a_folder_that_was_changed_is_mended_part_by_part(store: Store, tmp_path: Path) -> None:
    files = [entry(store, "a.bin", os.urandom(3500)), entry(store, "b.bin", os.urandom(10))]
    fetch(tmp_path / "model", files)
    store.requests.clear()
    with (tmp_path / "model/a.bin").open("r+b") as stream:
        stream.seek(1500)
        stream.write(b"other")
    (tmp_path / "model/stranger").mkdir()
    (tmp_path / "model/stranger/file").write_text("not in the manifest")

    done = fetch(tmp_path / "model", files)

    assert done.returncode == 0, done.stderr
    assert store.requests == ["bytes=1000-1999"]
    assert (tmp_path / "model/a.bin").read_bytes() == store.blobs["a.bin"]
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["a.bin", "b.bin"]


def test_a_damaged_part_is_fetched_again_alone(store: Store, tmp_path: Path) -> None:
    files = [entry(store, "a.bin", os.urandom(5000))]
    store.spoil["a.bin"] = 1

    done = fetch(tmp_path / "model", files)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model/a.bin").read_bytes() == store.blobs["a.bin"]
    assert len(store.requests) == 6


def test_a_cut_connection_is_taken_up_again(store: Store, tmp_path: Path) -> None:
    files = [entry(store, "a.bin", os.urandom(2500))]
    store.cut["a.bin"] = 2

    done = fetch(tmp_path / "model", files)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model/a.bin").read_bytes() == store.blobs["a.bin"]


def test_good_parts_of_an_earlier_try_are_kept(store: Store, tmp_path: Path) -> None:
    data = os.urandom(4000)
    files = [entry(store, "a.bin", data)]
    (tmp_path / "model.part").mkdir()
    (tmp_path / "model.part/a.bin").write_bytes(data[:2000] + b"\0" * 2000)

    done = fetch(tmp_path / "model", files)

    assert json.loads(done.stdout)["kept"] == 2000
    assert (tmp_path / "model/a.bin").read_bytes() == data


@pytest.mark.parametrize(
    ("prepare", "status", "says"),
    [
        (lambda store: store.spoil.update({"a.bin": 99}), 3, "in the manifest"),
        (lambda store: store.blobs.clear(), 4, "answers 404"),
        (lambda store: setattr(store, "status", 403), 4, "answers 403"),
        (lambda store: setattr(store, "status", 500), 6, "a.bin"),
    ],
)
def test_each_refusal_has_its_number_and_leaves_nothing_under_the_final_name(
    store: Store, tmp_path: Path, prepare: Any, status: int, says: str
) -> None:
    files = [entry(store, "a.bin", os.urandom(500))]
    prepare(store)

    done = fetch(tmp_path / "model", files)

    assert done.returncode == status
    assert says in done.stderr
    assert "secret" not in done.stderr
    assert not (tmp_path / "model").exists()


def test_missing_space_is_said_before_anything_is_fetched(store: Store, tmp_path: Path) -> None:
    file = entry(store, "a.bin", b"x")
    file["size"] = 2**60

    done = fetch(tmp_path / "model", [file])

    assert done.returncode == 5
    assert "are free" in done.stderr
    assert store.requests == []


def test_a_manifest_that_contradicts_itself_is_refused(store: Store, tmp_path: Path) -> None:
    file = entry(store, "a.bin", os.urandom(2500))
    file["sha256"] = "0" * 64

    done = fetch(tmp_path / "model", [file])

    assert done.returncode == 3
    assert "contradicts itself" in done.stderr
    with contextlib.suppress(FileNotFoundError):
        assert not (tmp_path / "model").exists()
