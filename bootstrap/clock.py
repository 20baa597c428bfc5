"""Time, handed in: every wait of the project goes through a clock, so that tests move it and a wait can be called off."""

import time
from typing import Protocol


class Clock(Protocol):
    """What a waiting rule needs."""

    def time(self) -> float:
        """Return unix seconds."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    def sleep(self, seconds: float) -> None:
        """Wait. May raise where nobody waits for the result any more."""


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
