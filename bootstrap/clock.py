"""Time, handed in: every wait of the project goes through a clock, so that tests move it and a wait can be called off."""

import time
from typing import Protocol

from bootstrap.errors import TookTooLong


class Clock(Protocol):
    """What a waiting rule needs."""

    def time(self) -> float:
        """Return unix seconds."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    def sleep(self, seconds: float) -> None:
        """Wait. May raise where nobody waits for the result any more."""


class Until:
    """Another clock whose waits end at a moment (its monotonic seconds): from then on each raises `TookTooLong`."""

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
        """Wait. Raises TookTooLong, and what the other clock raises."""
        self._clock.sleep(min(seconds, max(0.0, self._deadline - self._clock.monotonic())))
        if self._clock.monotonic() >= self._deadline:
            raise TookTooLong("it was not done when the time allowed for all attempts together had passed")


class SystemClock:
    """The machine's clock."""

    def time(self) -> float:
        """Return unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
