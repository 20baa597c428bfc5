"""Retry a call to the market after chosen errors. `patient_market` is the layer above.

A refusal for too many calls says that the market works and wants fewer calls, so we wait it out for minutes. Any other
doubt is an outage or an accident, and a few tries tell which.
"""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TypeVar

from tenacity import Retrying, retry_if_exception_type

from bootstrap.clock import Clock
from providers.vast.api.errors import RateLimited, VastError

Value = TypeVar("Value")
ATTEMPTS = 6
LONGEST_SECONDS = 30.0
RATE_LIMITED_WAITS = 300  # times the first wait: the limit for all refusals for too many calls together
JITTER = 0.25  # of a wait, so that waiting callers do not return all at once


class Turn(Protocol):
    """Enters when a call may leave. With `again`, a refused call keeps its place. See `rate_limit.RateLimit`."""

    def __call__(self, *, again: bool) -> AbstractContextManager[None]:
        """Return the context of one try."""


def at_once(*, again: bool) -> AbstractContextManager[None]:  # noqa: ARG001 -- a Turn
    """Let every call leave at once."""
    return nullcontext()


def again(
    call_market: Callable[[], Value],
    repeat: tuple[type[VastError], ...],
    seconds: float,
    clock: Clock,
    turn: Turn = at_once,
    tries: Callable[[], int] = lambda: ATTEMPTS,
) -> Value:
    """Return the result of `call_market`. Each try waits for its turn.

    `tries` bounds the tries that end in a doubt, refusals for too many calls not included. It is asked after each doubt.
    The second try waits `seconds`, and each further wait doubles. After a refusal for too many calls the wait is the
    market's hint, or `seconds`. Raises the last error.
    """
    began, refused = clock.monotonic(), 0

    def wait(state: Any) -> float:
        nonlocal refused
        error = state.outcome.exception()
        if isinstance(error, RateLimited):
            refused += 1
            return min(LONGEST_SECONDS, _jittered(seconds) if error.retry_after is None else error.retry_after)
        return min(LONGEST_SECONDS, _jittered(seconds * 2.0 ** (state.attempt_number - refused - 1)))

    def stop(state: Any) -> bool:  # tenacity calls it after `wait`
        if isinstance(state.outcome.exception(), RateLimited):
            return bool(clock.monotonic() + state.upcoming_sleep - began > RATE_LIMITED_WAITS * seconds)
        return bool(state.attempt_number - refused >= tries())

    policy = Retrying(retry=retry_if_exception_type(repeat), stop=stop, wait=wait, sleep=clock.sleep, reraise=True)

    def paced() -> Value:
        with turn(again=refused > 0):
            return call_market()

    return policy(paced)


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(1, 1 + JITTER)
