"""Serve more than four calls at once in one provider process.

Pulumi's SDK serves dynamic providers from a pool of four threads and has no setting for it. Our creates wait for
minutes. With four at a time, every four instances would need a process of their own: 0.7 s of processor and 55 MB each.
Our code runs in a thread of that pool, finds the pool from there, and raises its limit. The pool makes threads only for
waiting calls.

The limit is a private attribute of Python's pool. `is_wide_possible` tries the change on a pool of its own, so that a
program can check it first; see docs/decisions/0008.
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

MOST_CALLS = 1024  # more than an engine sends at once (--parallel); protects only against a fault
TRIAL_SECONDS = 10.0


def widen(most: int = MOST_CALLS) -> bool:
    """Raise the thread limit of the pool that runs the caller. Calls in its queue get threads at once.

    Returns False, and changes nothing, if no pool runs the caller or if its limit cannot be raised.
    """
    pool = _pool_of(sys._getframe())  # noqa: SLF001 -- Python's documented way to the callers
    bound = getattr(pool, "_max_workers", None)
    if pool is None or not isinstance(bound, int):
        return False
    if bound < most:
        pool._max_workers = most  # noqa: SLF001 -- tried by is_wide_possible  # type: ignore[attr-defined]
        waiting, idle = getattr(pool, "_work_queue", None), getattr(pool, "_idle_semaphore", None)
        for _ in range(waiting.qsize() if waiting is not None else 0):
            # A thread that takes the next call at once still counts as idle, and the pool would start none for this one.
            while idle is not None and idle.acquire(blocking=False):
                pass
            pool.submit(_nothing)  # each submit makes the pool start a thread
    return True


def is_wide_possible() -> bool:
    """Return True if `widen` works with this Python and this SDK. The trial takes a millisecond."""
    return _is_served_by_a_pool() and _is_bound_raised()


def _pool_of(frame: FrameType | None) -> ThreadPoolExecutor | None:
    """Return the pool that runs this frame, from the local variables of the worker among its callers."""
    while frame is not None:
        for value in list(frame.f_locals.values()) if frame.f_code.co_filename == _WORKER_FILE else ():
            pool = value() if isinstance(value, weakref.ref) else value
            if isinstance(pool, ThreadPoolExecutor):
                return pool
        frame = frame.f_back
    return None


_WORKER_FILE = ThreadPoolExecutor.submit.__code__.co_filename


def _nothing() -> None:
    """Do nothing, as a task."""


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
