"""A clock that moves only when somebody sleeps, and can find the engine gone at a given moment."""

import contextlib
import threading
from collections.abc import Iterator

from providers.engine_watch import EngineGone


class FakeClock:
    """Satisfies `RentingClock`. `gone_at`: the moment from which waits raise EngineGone, unless they are patient."""

    def __init__(self, start: float = 1_700_000_000.0, gone_at: float | None = None) -> None:
        self.start = start
        self.now = 0.0
        self.gone_at = gone_at
        self.slept: list[float] = []
        self._patience = threading.local()

    def time(self) -> float:
        return self.start + self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        if self.gone_at is not None and self.now >= self.gone_at and not getattr(self._patience, "on", False):
            raise EngineGone("the engine has gone")

    def confirm(self) -> None:
        if self.gone_at is not None and self.now >= self.gone_at:
            raise EngineGone("the engine has gone")

    @contextlib.contextmanager
    def without_engine(self) -> Iterator[None]:
        before = getattr(self._patience, "on", False)
        self._patience.on = True
        try:
            yield
        finally:
            self._patience.on = before
