"""Whether the endpoint serves: starting, ready or down. Ready is: the gate is open, and vLLM answers behind it."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

STATES = ("starting", "ready", "down")
STARTING_SECONDS = 20 * 60  # a gate that is closed for longer is not on its way to open any more


class State:
    """Looked at again and again. `open_file` is there while the gate is open."""

    def __init__(self, open_file: Path, health_url: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._open, self._url, self._monotonic = open_file, health_url, monotonic
        self._closed_since: float | None = monotonic()
        self.now = "starting"

    def look(self) -> str:
        """Decide anew, and return it."""
        if not self._open.exists():
            now = self._monotonic()
            self._closed_since = now if self._closed_since is None else self._closed_since
            late = now - self._closed_since > STARTING_SECONDS
            self.now = "down" if late else "starting"
        else:
            self._closed_since = None
            self.now = "ready" if answers(self._url) else "down"
        return self.now


def answers(url: str) -> bool:
    """Say whether a URL answers 200 within three seconds."""
    try:
        with urllib.request.urlopen(url, timeout=3) as reply:  # noqa: S310 -- vLLM's, on loopback
            return bool(reply.status == 200)
    except OSError:
        return False
