"""Serve more than four calls at once in one provider process.

Pulumi's SDK serves dynamic providers from a pool of four threads and has no setting for it. Our creates wait for
minutes. With four at a time, every four instances would need a process of their own: 0.7 s of processor and 55 MB each.
Our code runs in a thread of that pool, finds the pool from there, and gives each further call a thread of its own.

The pool itself counts its idle threads, and Python 3.11 counts a thread as idle that takes the next call at once. A
wider pool would then start no thread for a call, which waits until another one ends. So no later call goes through it.
`is_wide_possible` tries the change on a pool of its own, so that a program can check it first; see docs/decisions/0008.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

TRIAL_SECONDS = 10.0
MOST_CALLS = 1024  # threads for calls that wait already; more than an engine sends at once (--parallel)


def widen() -> bool:
    """Serve all later calls of the pool that runs the caller by threads of their own, and those in its queue, too.

    Returns False, and changes nothing, if no pool runs the caller or if it cannot be changed.
    """
    pool = _pool_of(sys._getframe())  # noqa: SLF001 -- Python's documented way to the callers
    bound = getattr(pool, "_max_workers", None)
    if pool is None or not isinstance(bound, int):
        return False
    with _LOCK:
        if isinstance(pool.__dict__.get("submit"), _ThreadForEach):
            return True
        own = pool.submit
        pool.submit = _ThreadForEach(pool)  # type: ignore[method-assign]  # gRPC calls it by this name
    pool._max_workers = max(bound, MOST_CALLS)  # noqa: SLF001 -- tried by is_wide_possible  # type: ignore[attr-defined]
    waiting, idle = getattr(pool, "_work_queue", None), getattr(pool, "_idle_semaphore", None)
    for _ in range(waiting.qsize() if waiting is not None else 0):
        # A thread that took another call still counts as idle, and the pool would start none for this one.
        while idle is not None and idle.acquire(blocking=False):
            pass
        own(_nothing)  # each makes the pool start a thread
    return True


class _ThreadForEach:
    """Stands for the `submit` of a pool: it runs each call in a thread of its own."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool, self._own = weakref.ref(pool), pool.submit

    def __call__(self, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Return the future of a call that runs. Raises RuntimeError after the pool's shutdown, as the pool does."""
        pool = self._pool()
        if pool is None or getattr(pool, "_shutdown", False):
            return self._own(call, *arguments, **named)
        future: Future[Any] = Future()
        words = (self._pool, future, partial(call, *arguments, **named))
        # The end of the process waits for it, as for the pool's threads. gRPC's own thread, which calls this, is a daemon.
        threading.Thread(target=_run, args=words, name="provider call", daemon=False).start()
        return future


def _run(_pool: weakref.ref[ThreadPoolExecutor], future: Future[Any], call: Callable[[], Any]) -> None:
    """Run a call to its end; `_pool_of` finds the pool among the arguments."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 -- the future gives it to the waiting thread, as the pool's would
        future.set_exception(error)
    else:
        future.set_result(result)


def is_wide_possible() -> bool:
    """Return True if `widen` works with this Python and this SDK. The trial takes a millisecond."""
    return _is_served_by_a_pool() and _is_bound_raised()


def _pool_of(frame: FrameType | None) -> ThreadPoolExecutor | None:
    """Return the pool that runs this frame, from the local variables of the worker among its callers."""
    while frame is not None:
        for value in list(frame.f_locals.values()) if frame.f_code.co_filename in _WORKER_FILES else ():
            pool = value() if isinstance(value, weakref.ref) else value
            if isinstance(pool, ThreadPoolExecutor):
                return pool
        frame = frame.f_back
    return None


_WORKER_FILES = (ThreadPoolExecutor.submit.__code__.co_filename, _run.__code__.co_filename)
_LOCK = threading.Lock()


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
