"""Starts and ends the programs that k3s has inside itself and this stand-in has beside it; writes the files they read."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import yaml

from sandbox.hetzner.k3s.config import Mistake

PROGRAMS = Path("/usr/local/lib/sandbox/bin")
READY_SECONDS, TURN_SECONDS = 120.0, 0.05
STOP_SECONDS = 5.0  # the API server alone would wait longer, for pods that go on to watch it


class Child:
    """One program. It ends with this process, also by kill -9. Its output goes to a file in `logs`: `log`, or its name."""

    def __init__(self, name: str, arguments: Sequence[str], logs: Path, log: str = "") -> None:
        self.name = name
        logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._log = logs / f"{log or name}.log"
        command = ["setpriv", "--pdeathsig", "KILL", "--", str(PROGRAMS / name), *arguments]
        # etcd and the API server would tell systemd that k3s is ready.
        environment = {key: text for key, text in os.environ.items() if key != "NOTIFY_SOCKET"}
        environment["PATH"] = f"{PROGRAMS}{os.pathsep}{environment.get('PATH', os.defpath)}"  # containerd starts others
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, env=environment
            )

    @classmethod
    def once(cls, program: Path, arguments: Sequence[str]) -> tuple[int, str]:
        """Run a program to its end; return its status and output."""
        done = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def ready(self, url: str, tls: ssl.SSLContext | None = None) -> Child:
        """Return when a URL answers 200. Raises Mistake if the program ends before."""
        deadline = time.monotonic() + READY_SECONDS
        while not _answers(url, tls):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Mistake(f"{self.name} did not get ready: {self.tail()}")
            time.sleep(TURN_SECONDS)
        return self

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def tail(self) -> str:
        """Return the end of its output."""
        return " | ".join(self._log.read_text(errors="replace").strip().splitlines()[-4:])[-600:]


def say(text: str, level: str = "info") -> None:
    """Write a line as k3s does."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    sys.stderr.write(f'time="{now}" level={level} msg="{text}"\n')
    sys.stderr.flush()


def write(file: Path, text: str) -> None:
    """Write a file that only root reads."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(text)


def kubeconfig(folder: Path, client: str, server: str) -> str:
    """Return the kubeconfig of a client whose certificate is in the folder of authorities."""

    def data(name: str) -> str:
        return base64.b64encode((folder / name).read_bytes()).decode()

    cluster = {"certificate-authority-data": data("server-ca.crt"), "server": server}
    user = {"client-certificate-data": data(f"{client}.crt"), "client-key-data": data(f"{client}.key")}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "default", "cluster": cluster}],
            "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
            "current-context": "default",
            "preferences": {},
            "users": [{"name": "default", "user": user}],
        }
    )


def _answers(url: str, tls: ssl.SSLContext | None) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2, context=tls) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False
