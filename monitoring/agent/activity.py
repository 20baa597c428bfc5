"""Measures the use of the endpoint, from the gate's in-flight gauge and its log of admitted requests.

The log has a line for each request at its end, and the gauge counts the requests under way. Together they miss none.
The counters of vLLM and of Caddy miss requests that the client aborted. This module never compares two machines' clocks.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path

GATE_SERVER = 'server="door"'  # `SERVER` of bootstrap/gate.py, which is not on the host
GRACE_SECONDS = 300.0  # a shorter pause between two requests does not count as idle
LONGEST_LOOK_SECONDS = 120.0  # a longer time between two looks is unknown, and does not count as unused


class Activity:
    """Call `look` regularly. `log` is the gate's log of admitted requests, `metrics_url` the gate's metrics."""

    def __init__(
        self,
        log: Path,
        metrics_url: str,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._url = log, metrics_url
        self._wall, self._monotonic = wall, monotonic
        self._place: tuple[int | None, int] | None = None  # (inode, bytes read); no inode without a log
        self._looked = monotonic()
        self.requests: Counter[str] = Counter()  # admitted requests that have ended, by status code
        self.in_flight: float | None = None
        self.unused_seconds = 0.0  # idle beyond the grace, since this process began
        self.last_at: float | None = None  # unix seconds
        self._last: float | None = None  # the same moment on the monotonic clock

    def look(self, ready: bool) -> None:
        """Read log and gauge. A host that never served counts as idle from the moment at which it was ready."""
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
        """Return the seconds since the last request; None before the host was ready, or without the gate's gauge."""
        if self._last is None or self.in_flight is None:
            return None
        return self._monotonic() - self._last

    def _read_log(self) -> int:
        """Count the log's new lines by status code, and return their number."""
        try:
            found = self._log.stat()
        except OSError:
            self._place = self._place or (None, 0)
            return 0
        if self._place is None:
            self._place = (found.st_ino, found.st_size)  # lines from before this process do not count
            return 0
        inode, place = self._place
        if inode != found.st_ino or found.st_size < place:
            place = 0  # a new or a rotated log
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
        rows = [
            row for row in text.splitlines() if row.startswith("caddy_http_requests_in_flight{") and GATE_SERVER in row
        ]
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows)  # no row: no request since the gate started


def _status(line: bytes) -> str:
    try:
        return str(json.loads(line)["status"])
    except (ValueError, KeyError, TypeError):
        return "unknown"
