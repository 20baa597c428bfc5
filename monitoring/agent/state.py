"""Decides the state of the endpoint.

ready     the gate is open and vLLM answers behind it
closed    vLLM answers and the gate is closed: an update opens it in a moment, a rebooted host waits for the next `up`
starting  the gate is closed and vLLM does not answer yet
down      the gate is open and vLLM does not answer, or vLLM has been starting for too long
"""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

STATES = ("starting", "closed", "ready", "down")
STARTING_SECONDS = 20 * 60  # a large model from a slow disk


class State:
    """Call `look` regularly. `open_file` exists while the gate is open."""

    def __init__(self, open_file: Path, health_url: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._open, self._url, self._monotonic = open_file, health_url, monotonic
        self._starting_since = monotonic()

    def look(self) -> str:
        """Read gate and vLLM, and return the state."""
        is_open, healthy, now = self._open.exists(), answers(self._url), self._monotonic()
        if is_open or healthy:
            self._starting_since = now
        if healthy:
            return "ready" if is_open else "closed"
        late = now - self._starting_since > STARTING_SECONDS
        return "down" if is_open or late else "starting"


def answers(url: str) -> bool:
    """Return whether a URL answers 200 within two seconds."""
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:  # noqa: S310 -- vLLM's, on loopback
            return bool(reply.status == 200)
    except OSError:
        return False
