"""Several who act at the same time, in virtual time and in one order: of those who sleep, the one that wakes first runs.

clock = SharedClock(); results = clock.run(work, other_work)     # each runs until its next sleep, alone
"""

import contextlib
import heapq
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tests.doubles.clock import FakeClock


class SharedClock(FakeClock):
    """Satisfies `RentingClock` for many threads, of which one at a time runs."""

    def __init__(self) -> None:
        super().__init__()
        self._sleepers: list[tuple[float, int, threading.Event]] = []
        self._number = itertools.count()
        self._together = False

    def run(self, *works: Callable[[], Any]) -> list[Any]:
        """Do all of it at once, beginning in the order given; return what each returned, or the error that it raised."""
        found: list[Any] = [None] * len(works)

        def one(index: int, work: Callable[[], Any], turn: threading.Event) -> None:
            turn.wait()
            try:
                found[index] = work()
            except BaseException as error:  # noqa: BLE001 -- it is the result
                found[index] = error
            self._next()

        self._together = True
        threads = []
        for index, work in enumerate(works):
            turn = threading.Event()
            heapq.heappush(self._sleepers, (self.now, next(self._number), turn))
            threads.append(threading.Thread(target=one, args=(index, work, turn), daemon=True))
            threads[-1].start()
        self._next()
        for thread in threads:
            thread.join()
        self._together = False
        return found

    def sleep(self, seconds: float) -> None:
        if not self._together:
            super().sleep(seconds)
            return
        turn = threading.Event()
        heapq.heappush(self._sleepers, (self.now + max(0.0, seconds), next(self._number), turn))
        self._next()
        turn.wait()

    @contextlib.contextmanager
    def patient(self) -> Iterator[None]:
        yield

    def _next(self) -> None:
        if self._sleepers:
            at, _number, turn = heapq.heappop(self._sleepers)
            self.now = max(self.now, at)
            turn.set()
