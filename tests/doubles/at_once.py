"""Many callers at one moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
THREADS = 20


def at_once(calls: int, call: Callable[[int], T]) -> list[T]:
    """Call with the numbers from 0, 20 at a time; the first ones begin at the same moment. Return what they returned."""
    threads = min(calls, THREADS)
    barrier = threading.Barrier(threads)

    def one(number: int) -> T:
        if number < threads:
            barrier.wait(20)
        return call(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(calls)))
