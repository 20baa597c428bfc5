"""`python -m controller` as a process of its own, over a stack, a database and a free port."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.doubles.cloud import REPO
from tests.doubles.ports import free_ports

PATIENCE_SECONDS = 60.0


@dataclass
class ControllerProcess:
    """One controller. `env` is what the operator's shell has; `log` gets what it says. `key`: of a client.

    `before` are folders of Python's path that come before the program.
    """

    project: Path
    env: Mapping[str, str]
    log: Path
    stack: str
    dsn: str
    key: str = ""
    port: int = field(default_factory=lambda: free_ports(1)[0])
    before: Sequence[Path] = ()
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it; returns at once."""
        own = {
            "GPU_FLEET_STACK": self.stack,
            "GPU_FLEET_DSN": self.dsn,
            "GPU_FLEET_LISTEN": f"127.0.0.1:{self.port}",
            "GPU_FLEET_PROJECT": str(self.project),
            "GPU_FLEET_WORK": str(self.log.parent / "controller-work"),
            "PYTHONPATH": ":".join(map(str, (*self.before, REPO))),
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-m", "controller"],
                env={**self.env, **own},
                cwd=self.log.parent,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """End it as `kill -9` does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    @property
    def ended(self) -> bool:
        """Whether it has ended, however."""
        return self.process is not None and self.process.poll() is not None

    def end(self) -> tuple[int, float]:
        """End it by SIGTERM; return its exit status and the seconds that it took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE_SECONDS)
        return status, time.monotonic() - began

    def call(self, method: str, path: str, **body: Any) -> httpx.Response:
        """Call the API with the client's key."""
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.request(
            method, url, headers={"X-API-Key": self.key}, json=body or None, trust_env=False, timeout=30
        )

    def until(self, holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until something holds. An API that does not answer holds nothing."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if holds():
                    return
            except httpx.TransportError:
                pass
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds:.0f} s; the controller says:\n{self.said()[-6000:]}")
            time.sleep(0.1)

    def said(self) -> str:
        """Return its log."""
        return self.log.read_text() if self.log.exists() else ""

    def is_ready(self) -> bool:
        """Say whether it answers and knows what is applied."""
        return self.call("GET", "/readyz").status_code == 200
