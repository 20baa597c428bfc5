"""etcd: how it is started, and the few calls to it."""

from __future__ import annotations

import base64
import json
import urllib.request
from pathlib import Path
from typing import Any

from sandbox.hetzner.k3s.config import Mistake, Settings
from sandbox.hetzner.k3s.programs import PROGRAMS, Child

CLIENTS, PEERS = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
ETCDUTL = PROGRAMS / "etcdutl"


def start(settings: Settings, *more: str) -> Child:
    """Start etcd on its data, and return when it answers."""
    settings.etcd.mkdir(parents=True, exist_ok=True, mode=0o700)
    arguments = [
        f"--name={settings.node}",
        f"--data-dir={settings.etcd}",
        f"--listen-client-urls={CLIENTS}",
        f"--advertise-client-urls={CLIENTS}",
        f"--listen-peer-urls={PEERS}",
        f"--initial-advertise-peer-urls={PEERS}",
        f"--initial-cluster={settings.node}={PEERS}",
        "--log-level=warn",
        *more,
    ]
    return Child("etcd", arguments, settings.data / "server" / "logs").ready(f"{CLIENTS}/health")


def restore(settings: Settings, snapshot: Path) -> None:
    """Make etcd's data anew from a snapshot. Raises Mistake."""
    arguments = ["snapshot", "restore", str(snapshot), f"--data-dir={settings.etcd}", f"--name={settings.node}"]
    arguments += [f"--initial-cluster={settings.node}={PEERS}", f"--initial-advertise-peer-urls={PEERS}"]
    status, output = Child.once(ETCDUTL, arguments)
    if status:
        raise Mistake(f"snapshot restore failed: {output.strip()[-300:]}")


def get(prefix: str) -> dict[str, bytes]:
    """Return the keys that begin with a prefix, and their values."""
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    answer = _post("/v3/kv/range", {"key": _text(prefix.encode()), "range_end": _text(end.encode())})
    rows = json.loads(answer).get("kvs", [])
    return {base64.b64decode(row["key"]).decode(): base64.b64decode(row.get("value", "")) for row in rows}


def put(key: str, value: bytes) -> None:
    """Write a key."""
    _post("/v3/kv/put", {"key": _text(key.encode()), "value": _text(value)})


def snapshot(target: Path) -> None:
    """Write etcd's own snapshot to a file, with the digest at its end that etcdutl checks."""
    lines = _post("/v3/maintenance/snapshot", {}).splitlines()
    blobs = [json.loads(line)["result"].get("blob", "") for line in lines if line.strip()]
    target.touch(mode=0o600)
    target.write_bytes(b"".join(map(base64.b64decode, blobs)))


def _post(path: str, body: dict[str, Any]) -> bytes:
    request = urllib.request.Request(CLIENTS + path, json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: bytes = answer.read()
    return found


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
