"""The program that prepares the cluster's server, on a folder that stands for it."""

import functools
import hashlib
import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from providers.cluster.server_files.node import DEVICE_SECONDS, Node, main
from tests.doubles.clock import FakeClock

K3S = b"#!/bin/sh\necho k3s version v1.34.2+k3s1\n" * 5000
DEVICE = "/dev/disk/by-id/scsi-0HC_Volume_1"
MOUNT = "/var/lib/gpu-fleet/volume"


class Shelf(BaseHTTPRequestHandler):
    """Serves k3s: `/k3s`; `/busy` fails twice first; anything else is not there."""

    tries = 0

    def do_GET(self) -> None:
        type(self).tries += 1
        status = {"/k3s": 200, "/busy": 503 if type(self).tries < 3 else 200}.get(self.path, 404)
        self.send_response(status)
        self.end_headers()
        if status == 200:
            self.wfile.write(K3S)

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def shelf() -> Iterator[str]:
    Shelf.tries = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    thread = threading.Thread(target=functools.partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Server:
    """A folder with the commands of a server: which ran, and which fail."""

    def __init__(self, root: Path, url: str, digest: str = "") -> None:
        self.root, self.ran, self.fails, self.installed = root, list[str](), set[str](), {"nftables"}
        self.clock = FakeClock()
        wanted = {
            "k3s": {"url": url, "sha256": digest or hashlib.sha256(K3S).hexdigest()},
            "volume": {"device": DEVICE, "mount": MOUNT},
            "packages": ["nftables", "unattended-upgrades"],
        }
        (root / "etc/gpu-fleet").mkdir(parents=True)
        (root / "etc/gpu-fleet/node.json").write_text(json.dumps(wanted))
        (root / "etc/fstab").write_text("UUID=1 / ext4 defaults 0 1\n")
        self.attach()

    def attach(self) -> None:
        device = self.root / DEVICE.lstrip("/")
        device.parent.mkdir(parents=True, exist_ok=True)
        device.touch()

    def run(self, words: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        line = " ".join(words)
        self.ran.append(line)
        if words[0] == "dpkg-query":
            there = words[-1] in self.installed
            return subprocess.CompletedProcess(words, 0 if there else 1, "install ok installed" if there else "", "")
        if words[0] == "mountpoint":
            return subprocess.CompletedProcess(words, 0 if f"mount {MOUNT}" in self.ran else 1, "", "")
        failed = any(line.startswith(one) for one in self.fails)
        return subprocess.CompletedProcess(words, int(failed), "", "it broke\nbadly" if failed else "")

    def prepare(self, word: str = "prepare") -> int:
        return main(word, Node(self.root, self.run, self.clock.sleep, self.clock.monotonic))

    def said(self) -> str:
        return (self.root / "var/lib/gpu-fleet/failed").read_text()


def test_a_server_is_prepared_and_a_second_run_changes_nothing(tmp_path: Path, shelf: str) -> None:
    server = Server(tmp_path, f"{shelf}/k3s")

    assert server.prepare() == 0

    k3s = tmp_path / "usr/local/bin/k3s"
    assert k3s.read_bytes() == K3S
    assert k3s.stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "var/lib/gpu-fleet/prepared").is_file()
    assert (tmp_path / "etc/fstab").read_text().splitlines() == [
        "UUID=1 / ext4 defaults 0 1",
        f"{DEVICE} {MOUNT} ext4 defaults,discard,nofail 0 0",
    ]
    assert [line for line in server.ran if "apt-get" in line][-1].endswith(
        "--no-install-recommends unattended-upgrades"
    )
    blocked = server.ran.index("systemctl enable --now gpu-fleet-metadata.service")
    assert blocked < server.ran.index("systemctl enable k3s.service")
    assert not [line for line in server.ran if "start k3s" in line]

    asked, table = Shelf.tries, (tmp_path / "etc/fstab").read_text()
    server.installed.add("unattended-upgrades")
    server.ran = [f"mount {MOUNT}"]
    assert server.prepare() == 0
    assert (Shelf.tries, (tmp_path / "etc/fstab").read_text()) == (asked, table)
    assert server.ran.count(f"mount {MOUNT}") == 1
    assert not [line for line in server.ran if "apt-get" in line]


def test_a_k3s_with_another_digest_is_not_installed(tmp_path: Path, shelf: str) -> None:
    server = Server(tmp_path, f"{shelf}/k3s", "0" * 64)

    assert server.prepare() == 1

    assert "and cluster.k3s.sha256 says 0000" in server.said()
    assert not (tmp_path / "var/lib/gpu-fleet/prepared").exists()
    assert list((tmp_path / "usr/local/bin").iterdir()) == []
    assert "systemctl enable k3s.service" not in server.ran


def test_an_upgrade_swaps_the_file_and_a_wrong_digest_leaves_the_old_one(tmp_path: Path, shelf: str) -> None:
    server = Server(tmp_path, f"{shelf}/k3s")
    old = tmp_path / "usr/local/bin/k3s"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"older")
    assert server.prepare("k3s") == 0
    assert old.read_bytes() == K3S
    assert server.ran == []

    file = tmp_path / "etc/gpu-fleet/node.json"
    file.write_text(file.read_text().replace(hashlib.sha256(K3S).hexdigest(), "0" * 64))
    assert server.prepare("k3s") == 1
    assert old.read_bytes() == K3S


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(tmp_path: Path, shelf: str) -> None:
    busy = Server(tmp_path / "busy", f"{shelf}/busy")
    assert busy.prepare() == 0
    assert Shelf.tries == 3

    gone = Server(tmp_path / "gone", f"{shelf}/gone")
    assert gone.prepare() == 1
    assert "gone answers 404" in gone.said()
    assert Shelf.tries == 4


def test_a_volume_that_comes_late_is_waited_for_and_one_that_does_not_is_told(tmp_path: Path, shelf: str) -> None:
    late = Server(tmp_path / "late", f"{shelf}/k3s")
    device = late.root / DEVICE.lstrip("/")
    device.unlink()
    asleep = late.clock.sleep

    def sleep(seconds: float) -> None:
        asleep(seconds)
        if late.clock.monotonic() > 60:
            late.attach()

    assert main("prepare", Node(late.root, late.run, sleep, late.clock.monotonic)) == 0
    assert 60 < late.clock.monotonic() < 70

    never = Server(tmp_path / "never", f"{shelf}/k3s")
    (never.root / DEVICE.lstrip("/")).unlink()
    assert never.prepare() == 1
    assert f"was not attached within {DEVICE_SECONDS} s" in never.said()


@pytest.mark.parametrize("fails", ["apt-get", "systemctl enable --now gpu-fleet-metadata.service", f"mount {MOUNT}"])
def test_a_step_that_fails_is_one_sentence_and_k3s_does_not_come_up(tmp_path: Path, shelf: str, fails: str) -> None:
    server = Server(tmp_path, f"{shelf}/k3s")
    server.fails = {fails}

    assert server.prepare() == 1

    assert "failed with status 1: it broke badly" in server.said()
    assert server.said().count("\n") == 1
    assert "systemctl enable k3s.service" not in server.ran
    server.fails = set()
    assert server.prepare() == 0
    assert not (tmp_path / "var/lib/gpu-fleet/failed").exists()
