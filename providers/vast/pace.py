"""Request thresholds: the smallest interval between two calls of one kind, shared by every process that uses a key.

The market counts per endpoint and identity (bearer and address), so all provider processes of all updates on this machine
draw from one store: a small SQLite file named after the key's digest, kept by pyrate-limiter under a file lock.
Intervals are the `threshold` values that the market publishes, in market seconds; a market whose clock runs faster than
ours (the sandbox) divides them by its time scale.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from pyrate_limiter import Limiter, Rate, SQLiteBucket

from bootstrap.clock import Clock

INTERVALS: Mapping[str, float] = {
    "rent": 4.5,
    "search": 6.0,
    "show": 2.0,
    "list": 1.0,
    "destroy": 3.0,
    "logs": 1.0,
    "account": 1.0,
}
MARGIN = 1.05  # the two clocks and the wire are not ours


class Pace(Protocol):
    """Whatever makes a caller wait for its turn."""

    def wait(self, call: str, clock: Clock) -> None:
        """Return when one more call of this kind is allowed."""


class NoPace:
    """Lets everybody through; for markets without thresholds."""

    def wait(self, call: str, clock: Clock) -> None:
        """Return at once."""


class SharedPace:
    """Thresholds shared through a folder by all processes of this user.

    The folder lies under the temporary directory: losing it after a reboot costs one interval, nothing else.
    """

    def __init__(self, key: str, time_scale: float = 1.0, folder: Path | None = None) -> None:
        self._identity = hashlib.sha256(key.encode()).hexdigest()[:16]
        self._time_scale = time_scale
        self._folder = folder or Path(tempfile.gettempdir()) / f"gpu-fleet-pace-{Path.home().owner()}"
        self._limiters: dict[str, Limiter] = {}

    def wait(self, call: str, clock: Clock) -> None:
        """Return when it is this caller's turn; waits through the clock, so that a vanished engine is noticed."""
        interval = INTERVALS[call] * MARGIN / self._time_scale
        limiter = self._limiter(call, interval)
        while not limiter.try_acquire(call, blocking=False):
            clock.sleep(min(0.2, interval / 4))

    def _limiter(self, call: str, interval: float) -> Limiter:
        if call not in self._limiters:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            store = self._folder / f"{self._identity}-{call}.sqlite"
            rates = [Rate(1, max(1, round(interval * 1000)))]
            bucket = SQLiteBucket.init_from_file(rates, db_path=str(store), use_file_lock=True)
            self._limiters.setdefault(call, Limiter(bucket))
        return self._limiters[call]
