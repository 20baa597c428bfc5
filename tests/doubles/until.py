"""Waits for something to come true, by looking again and again."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")
SECONDS, LOOK_SECONDS = 120.0, 0.02


def until(look: Callable[[], Value], what: str = "", seconds: float = SECONDS) -> Value:
    """Return the first true answer. Raises AssertionError at the deadline, with `what` was waited for."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what or 'something that did not come true'}"
        time.sleep(LOOK_SECONDS)
    return found
