"""Define the clock that callers hand in. Every wait goes through it, so that tests move time and waits can be cancelled."""

import time
from typing import Protocol

from bootstrap.errors import TookTooLong


class Clock(Protocol):
    """Read and wait for time."""

    def time(self) -> float:
        """Return unix seconds."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    def sleep(self, seconds: float) -> None:
        """Wait. May raise if the result is no longer needed."""


class Until:
    """Bound another clock's waits: from `deadline` on, in its monotonic seconds, each wait raises `TookTooLong`."""

    def __init__(self, clock: Clock, deadline: float) -> None:
        self._clock = clock
        self._deadline = deadline

    def time(self) -> float:
        """Return unix seconds."""
        return self._clock.time()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait. Raises TookTooLong, and the other clock's errors."""
        self._clock.sleep(min(seconds, max(0.0, self._deadline - self._clock.monotonic())))
        if self._clock.monotonic() >= self._deadline:
            raise TookTooLong("it was not done when the time allowed for all attempts together had passed")


class SystemClock:
    """Read this machine's clock."""

    def time(self) -> float:
        """Return unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
