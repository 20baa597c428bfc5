"""The market's own time, which runs faster than ours, so that minutes of booting take seconds.

Inside the market, everything happens in emulated seconds, and the meter charges by them. Clients live in real time.
So every moment and length for them goes through `on_the_wire` and `length_on_the_wire`, and through nothing else.
"""

import time
from collections.abc import Callable


class MarketClock:
    """Emulated unix seconds: the moment of the start, plus real seconds passed times `time_scale`.

    `real` returns real seconds that never go back; tests pass their own. Raises ValueError for a scale of 0 or less.
    """

    def __init__(
        self, time_scale: float = 1.0, start: float | None = None, real: Callable[[], float] = time.monotonic
    ) -> None:
        if not time_scale > 0:
            raise ValueError(f"time scale {time_scale} is not above 0")
        self.time_scale = time_scale
        self._real = real
        self._origin = real()
        self._start = time.time() if start is None else start

    def now(self) -> float:
        """Return emulated unix seconds."""
        return self._start + (self._real() - self._origin) * self.time_scale

    @property
    def start(self) -> float:
        """Return the unix second of the market's start, the same in both times."""
        return self._start

    def on_the_wire(self, moment: float) -> float:
        """Return the real unix second of an emulated moment."""
        return self._start + self.length_on_the_wire(moment - self._start)

    def length_on_the_wire(self, seconds: float) -> float:
        """Return the real seconds that so many emulated seconds take."""
        return seconds / self.time_scale

    def real(self) -> float:
        """Return real seconds that never go back, of unknown origin."""
        return self._real()
