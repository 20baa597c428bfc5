"""Serve more than four calls at once in one provider process.

Pulumi's SDK serves dynamic providers by a pool of four threads, and has no setting for it. A create of ours waits for
minutes, so four at a time would need a process for every four instances: 0.7 s of processor and 55 MB each. Our code runs
in a thread of that pool. It finds the pool from there, and raises the bound; threads are made only for calls that wait.

The bound is a private attribute of Python's pool. `is_wide_possible` tries it on a pool of its own, so that a program can
tell before it relies on it; see docs/decisions/0008.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

MOST_CALLS = 1024  # more than an engine sends at once (--parallel); a bound only against a fault
TRIAL_SECONDS = 10.0


def widen(most: int = MOST_CALLS) -> bool:
    """Raise the bound of the pool whose thread calls this; calls that wait in its queue get threads at once.

    Return False where no pool has called, or its bound cannot be raised; nothing has changed then.
    """
    pool = _pool_of(sys._getframe())  # noqa: SLF001 -- Python's documented way to the callers
    bound = getattr(pool, "_max_workers", None)
    if pool is None or not isinstance(bound, int):
        return False
    if bound < most:
        pool._max_workers = most  # noqa: SLF001 -- tried by is_wide_possible  # type: ignore[attr-defined]
        waiting = getattr(pool, "_work_queue", None)
        for _ in range(waiting.qsize() if waiting is not None else 0):
            pool.submit(_nothing)  # a submit is what makes a thread
    return True


def is_wide_possible() -> bool:
    """Say whether `widen` works with this Python and this SDK, by a trial that takes a millisecond."""
    return _is_served_by_a_pool() and _is_bound_raised()


def _pool_of(frame: FrameType | None) -> ThreadPoolExecutor | None:
    """Return the pool among whose worker's variables are the callers of this frame."""
    while frame is not None:
        for value in list(frame.f_locals.values()) if frame.f_code.co_filename == _WORKER_FILE else ():
            pool = value() if isinstance(value, weakref.ref) else value
            if isinstance(pool, ThreadPoolExecutor):
                return pool
        frame = frame.f_back
    return None


_WORKER_FILE = ThreadPoolExecutor.submit.__code__.co_filename


def _nothing() -> None:
    """Be a task."""


def _is_served_by_a_pool() -> bool:
    found = importlib.util.find_spec("pulumi.dynamic.__main__")
    return found is not None and found.origin is not None and "ThreadPoolExecutor(" in Path(found.origin).read_text()


def _is_bound_raised() -> bool:
    pool, met = ThreadPoolExecutor(max_workers=1), threading.Barrier(2)

    def first() -> None:
        started.set_result(None)
        go.result(TRIAL_SECONDS)
        if widen():
            met.wait(TRIAL_SECONDS)

    started: Future[None] = Future()
    go: Future[None] = Future()
    with pool:
        calls: list[Future[Any]] = [pool.submit(first), pool.submit(met.wait, TRIAL_SECONDS)]
        started.result(TRIAL_SECONDS)
        go.set_result(None)
        try:
            for call in calls:
                call.result(TRIAL_SECONDS)
        except (threading.BrokenBarrierError, TimeoutError):
            return False
    return True
