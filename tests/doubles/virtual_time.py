"""Many who wait in one virtual time: exactly one of them runs, until it sleeps; then whoever is due first goes on.

time = VirtualTime()
outcomes = time.run(lambda: work(time), lambda: other(time))     # what each returned, or the error that it raised

Nothing depends on how fast this machine is: a seed plays the same history again. An hour takes as long as its steps do.
"""

import contextlib
import heapq
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

Value = TypeVar("Value")


class VirtualTime:
    """Satisfies `RentingClock` for all who run in it, and for whoever has called nobody yet."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self.start = start
        self.now = 0.0
        self._due: list[tuple[float, int, threading.Lock]] = []
        self._order = itertools.count()
        self._own = threading.local()

    def time(self) -> float:
        return self.start + self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        mine: threading.Lock | None = getattr(self._own, "turn", None)
        if mine is None:
            self.now += seconds
            return
        heapq.heappush(self._due, (self.now + max(0.0, seconds), next(self._order), mine))
        following = self._pop()
        if following is not mine:
            following.release()
            mine.acquire()

    def confirm(self) -> None:
        """Somebody always waits for us."""

    @contextlib.contextmanager
    def without_engine(self) -> Iterator[None]:
        """Waits never end sooner here."""
        yield

    def run(self, *works: Callable[[], Value]) -> list[Value | Exception]:
        """Let all of them begin now, and return when the last has ended."""
        outcomes: list[Value | Exception] = [RuntimeError("it never began")] * len(works)
        ended = threading.Semaphore(0)

        def act(number: int, turn: threading.Lock) -> None:
            turn.acquire()
            self._own.turn = turn
            try:
                outcomes[number] = works[number]()
            except Exception as error:  # noqa: BLE001 -- an outcome like any other
                outcomes[number] = error
            ended.release()
            if self._due:
                self._pop().release()

        for number in range(len(works)):
            turn = threading.Lock()
            turn.acquire()
            heapq.heappush(self._due, (self.now, next(self._order), turn))
            threading.Thread(target=act, args=(number, turn), daemon=True).start()
        if works:
            self._pop().release()
        for _work in works:
            ended.acquire()
        return outcomes

    def _pop(self) -> threading.Lock:
        """Go to the moment at which somebody is due first, and return whose turn that is."""
        self.now, _order, turn = heapq.heappop(self._due)
        return turn
