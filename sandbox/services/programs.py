"""Finds, starts, awaits and ends a service of the sandbox that is one program with one HTTP port."""

import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.services.child import Child, ServiceError
from sandbox.services.ports import LOOPBACK

START_SECONDS = 60.0
STOP_GRACE_SECONDS = 5.0


@dataclass
class Program:
    """One program. `ready` is the path or URL that answers 200 once it serves; its log goes to `folder`."""

    name: str
    arguments: Sequence[str]
    port: int
    ready: str
    folder: Path
    program: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    scheme: str = "http"
    _child: Child | None = None

    @property
    def url(self) -> str:
        """Return its URL on this machine."""
        return f"{self.scheme}://{LOOPBACK}:{self.port}"

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        return self._child is not None and self._child.status() is None

    @property
    def pid(self) -> int | None:
        """Return its process id, None before its start."""
        return self._child.pid if self._child else None

    def start(self) -> None:
        """Start it; `wait` returns when it answers. Raises ServiceError."""
        self._child = Child(find(self.program or self.name), self.arguments, self.environment, self._log)

    def wait(self) -> None:
        """Return when it answers. Raises ServiceError if it ended or takes longer than a minute."""
        assert self._child is not None
        deadline = time.monotonic() + START_SECONDS
        ready = self.ready if "://" in self.ready else self.url + self.ready
        while status(ready) != 200:
            if self._child.status() is None and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            self.stop()
            last = " | ".join(self._child.tail().strip().splitlines()[-3:])
            raise ServiceError(f"{self.name} did not get ready. Its log {self._log} ends: {last}")

    def stop(self, grace_seconds: float = STOP_GRACE_SECONDS) -> None:
        """End it. Stopping twice is harmless."""
        if self._child is not None:
            self._child.stop(grace_seconds)

    @property
    def _log(self) -> Path:
        return self.folder / f"{self.name}.log"


def find(program: str) -> str:
    """Return the path of a program on PATH. If it is missing, raise ServiceError with the command that brings it."""
    found = shutil.which(program)
    if found is None:
        raise ServiceError(f"The program {program} is missing. `make setup` builds it; MONITORING=off does without.")
    return found


def status(url: str) -> int | None:
    """Return the HTTP status of a URL of this machine; None without an answer within two seconds."""
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, timeout=2, context=unverified) as answer:
            found: int = answer.status
            return found
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None
