"""Whether anybody uses the endpoint: the gate's in-flight gauge and its log of admitted requests, which misses nobody.

vLLM's own counters do not know a request that its client aborted, and Caddy's miss it, too; the log has a line for each at
its end, and while one is under way the gauge says so. Clocks of two machines are never compared.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path

DOOR = 'server="door"'
GRACE_SECONDS = 300.0  # a pause between two requests is not yet idleness
LONGEST_LOOK_SECONDS = 120.0  # between two looks; what lies further apart nobody has seen, and unknown is not unused


class Activity:
    """Looked at again and again. `log` is the gate's log of admitted requests, `metrics_url` its metrics."""

    def __init__(
        self,
        log: Path,
        metrics_url: str,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._url = log, metrics_url
        self._wall, self._monotonic = wall, monotonic
        self._place: tuple[int | None, int] | None = (
            None  # inode and how far it was read; no inode while there is no log
        )
        self._looked = monotonic()
        self.requests: Counter[str] = Counter()  # admitted requests that have ended, by status code
        self.in_flight: float | None = None
        self.unused_seconds = 0.0  # idle beyond the grace, since this process began
        self.last_at: float | None = None  # unix seconds
        self._last: float | None = None  # the same moment on the monotonic clock

    def look(self, ready: bool) -> None:
        """Take in what has happened. A host that never served counts from when it was ready first."""
        ended = self._read_log()
        self.in_flight = self._ask_gate()
        if ended or self.in_flight or (ready and self._last is None):
            self.last_at, self._last = self._wall(), self._monotonic()
        now = self._monotonic()
        since, self._looked = now - self._looked, now
        idle = self.idle_seconds
        if ready and idle is not None and idle > GRACE_SECONDS and since <= LONGEST_LOOK_SECONDS:
            self.unused_seconds += min(since, idle - GRACE_SECONDS)

    @property
    def idle_seconds(self) -> float | None:
        """How long nobody has asked; None before it was ready, or where the gate does not say who is being served."""
        if self._last is None or self.in_flight is None:
            return None
        return self._monotonic() - self._last

    def _read_log(self) -> int:
        """Count the lines that have come since the last look, and return how many those are."""
        try:
            found = self._log.stat()
        except OSError:
            self._place = self._place or (None, 0)
            return 0
        if self._place is None:
            self._place = (found.st_ino, found.st_size)  # what was before this process is not ours to count
            return 0
        inode, place = self._place
        if inode != found.st_ino or found.st_size < place:
            place = 0  # new, or rolled
        if found.st_size == place:
            return 0
        with self._log.open("rb") as stream:
            stream.seek(place)
            text = stream.read()
        whole = text.rpartition(b"\n")[0]
        self._place = (found.st_ino, place + len(whole) + (1 if whole else 0))
        lines = whole.splitlines()
        for line in lines:
            self.requests[_status(line)] += 1
        return len(lines)

    def _ask_gate(self) -> float | None:
        try:
            with urllib.request.urlopen(self._url, timeout=1) as reply:  # noqa: S310 -- the gate's, on loopback
                text: str = reply.read().decode(errors="replace")
        except OSError:
            return None
        rows = [row for row in text.splitlines() if row.startswith("caddy_http_requests_in_flight{") and DOOR in row]
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows)  # none: nobody has asked since the gate began


def _status(line: bytes) -> str:
    try:
        return str(json.loads(line)["status"])
    except (ValueError, KeyError, TypeError):
        return "unknown"
