#!/usr/bin/env python3
"""Prepare a Hetzner server for k3s, as /usr/local/sbin/gpu-fleet-node; cloud-init runs it once, with the word `prepare`.

The word `k3s` fetches only the k3s that /etc/gpu-fleet/node.json names: an upgrade rewrites that file first. k3s is not
started here: `pulumi up` writes its configuration over SSH, and starts it or restores it.

The end is one of two files in /var/lib/gpu-fleet: `prepared` (empty), or `failed` with one sentence. Standard library only;
Python 3.9 or later.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

DEVICE_SECONDS = 300  # a volume is attached after the server was made
TRIES, PAUSE_SECONDS, READ_SECONDS = 5, 3, 60
CHUNK = 1 << 20


class Unprepared(Exception):
    """The server cannot be prepared. The message is a sentence for the operator."""


class Node:
    """This server. `root` is the folder that stands for `/`; commands, pauses and clock are handed in by tests."""

    def __init__(
        self,
        root: Path = Path("/"),
        run: Callable[..., Any] = subprocess.run,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.root, self._run, self._sleep, self._monotonic = root, run, sleep, monotonic
        self.state = root / "var/lib/gpu-fleet"

    def prepare(self) -> None:
        """Do everything that must be there before k3s starts. Raises Unprepared."""
        wanted = self._wanted()
        with ThreadPoolExecutor(max_workers=1) as pool:
            fetched = pool.submit(self.fetch, wanted["k3s"])
            self._install(wanted["packages"])
            self._command("systemctl", "daemon-reload")
            self._command("systemctl", "enable", "--now", "gpu-fleet-metadata.service")
            self._mount(**wanted["volume"])
            fetched.result()
        self._command("systemctl", "enable", "k3s.service")

    def k3s(self) -> None:
        """Fetch the k3s of node.json, beside the running one and then over its file. Raises Unprepared."""
        self.fetch(self._wanted()["k3s"])

    def fetch(self, k3s: Mapping[str, str]) -> None:
        """Download k3s, unless it is there, and compare its digest before anything may run it. Raises Unprepared."""
        place = self.root / "usr/local/bin/k3s"
        if place.is_file() and digest_of(place) == k3s["sha256"]:
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(".k3s.part")
        try:
            self._download(k3s["url"], part)
            found = digest_of(part)
            if found != k3s["sha256"]:
                raise Unprepared(
                    f"the k3s at {k3s['url']} has the digest {found}, and cluster.k3s.sha256 says {k3s['sha256']}; nothing "
                    "was installed"
                )
            part.chmod(0o755)
            part.replace(place)
        finally:
            part.unlink(missing_ok=True)

    def _wanted(self) -> dict[str, Any]:
        wanted: dict[str, Any] = json.loads((self.root / "etc/gpu-fleet/node.json").read_text())
        return wanted

    def _download(self, url: str, part: Path) -> None:
        for left in reversed(range(TRIES)):
            try:
                with urllib.request.urlopen(url, timeout=READ_SECONDS) as answer, part.open("wb") as file:  # noqa: S310
                    while chunk := answer.read(CHUNK):
                        file.write(chunk)
            except urllib.error.HTTPError as error:
                if error.code < 500 or not left:
                    raise Unprepared(f"k3s cannot be downloaded: {url} answers {error.code}") from None
            except OSError as error:
                if not left:
                    raise Unprepared(f"k3s cannot be downloaded from {url}: {error}") from None
            else:
                return
            self._sleep(PAUSE_SECONDS)

    def _install(self, packages: Sequence[str]) -> None:
        """Install Debian packages that the image lacks."""
        lacking = [name for name in packages if not self._is_installed(name)]
        if lacking:
            patient = ("apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300")
            self._again(*patient, "update")  # a timer of the image may hold its lock in the first minute
            self._again(*patient, "install", "--no-install-recommends", *lacking)

    def _is_installed(self, package: str) -> bool:
        done = self._run(["dpkg-query", "-W", "-f", "${Status}", package], capture_output=True, text=True, check=False)
        return bool(done.returncode == 0 and "install ok installed" in done.stdout)

    def _mount(self, device: str, mount: str) -> None:
        """Mount the volume, now and at each start."""
        place, source = self.root / mount.lstrip("/"), self.root / device.lstrip("/")
        began = self._monotonic()
        while not source.exists():
            if self._monotonic() - began > DEVICE_SECONDS:
                raise Unprepared(f"the volume {device} was not attached within {DEVICE_SECONDS} s")
            self._sleep(1)
        place.mkdir(parents=True, exist_ok=True)
        table = self.root / "etc/fstab"
        line = f"{device} {mount} ext4 defaults,discard,nofail 0 0\n"
        known = table.read_text() if table.is_file() else ""
        if line not in known:
            table.write_text(f"{known.rstrip()}\n{line}".lstrip())
        if self._run(["mountpoint", "-q", mount], check=False).returncode:
            self._command("mount", mount)

    def _again(self, *words: str) -> None:
        for _try in range(TRIES - 1):
            try:
                return self._command(*words)
            except Unprepared:
                self._sleep(PAUSE_SECONDS * 5)
        return self._command(*words)

    def _command(self, *words: str) -> None:
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        done = self._run(list(words), capture_output=True, text=True, check=False, env=quiet)
        if done.returncode:
            last = " ".join((done.stdout + done.stderr).split())[-300:]
            raise Unprepared(f"`{' '.join(words)}` failed with status {done.returncode}: {last}")


def digest_of(file: Path) -> str:
    """Return a file's SHA-256 in hex."""
    found = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()


def main(word: str, node: Node) -> int:
    """Run one word, and leave its end as a file. Return the exit status."""
    node.state.mkdir(parents=True, exist_ok=True)
    failed = node.state / "failed"
    try:
        {"prepare": node.prepare, "k3s": node.k3s}[word]()
    except Unprepared as error:
        failed.write_text(f"{error}\n")
        print(error, file=sys.stderr)  # noqa: T201 -- cloud-init keeps it
        return 1
    failed.unlink(missing_ok=True)
    (node.state / "prepared").touch()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Node()))
