"""Make blocking calls interruptible: the clock goes on meanwhile, and may raise if the result is no longer needed."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from bootstrap.clock import Clock

POLL_SECONDS = 0.01
Value = TypeVar("Value")


def run_interruptibly(call: Callable[[], Value], clock: Clock, seconds: float) -> Value:
    """Return or raise the result of `call`; the clock may raise in between. Raises TimeoutError after `seconds`.

    The call runs in a daemon thread, so that a call which never returns does not keep the process alive.
    """
    result, deadline = begin(call), clock.monotonic() + seconds
    while not result.done():
        if clock.monotonic() > deadline:
            raise TimeoutError(f"no answer within {seconds:.0f} s")
        clock.sleep(POLL_SECONDS)
    return result.result()


def begin(call: Callable[[], Value]) -> "Future[Value]":
    """Start a call in a daemon thread.

    A process that ends may refuse new threads, as Python 3.12 does: the call then counts as timed out.
    """
    result: Future[Value] = Future()
    try:
        threading.Thread(target=_settle, args=(result, call), daemon=True).start()
    except RuntimeError as error:
        result.set_exception(TimeoutError(f"not begun: {error}"))
    return result


def _settle(result: "Future[Value]", call: Callable[[], Value]) -> None:
    try:
        result.set_result(call())
    except BaseException as error:  # noqa: BLE001 -- the waiting thread raises it
        result.set_exception(error)
