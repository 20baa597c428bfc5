"""A call to the market is made again after an error of some kinds: the layer below `patient`.

A refusal for too many calls says that the market is well and only wants fewer of them, so it is waited out for minutes. Other
doubts are an outage or an accident: a few tries tell which.
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
RATE_LIMITED_WAITS = 300  # times the first wait, all refusals for too many calls together
JITTER = 0.25  # of a wait, so that those who wait do not come back all at once


class Turn(Protocol):
    """Enters when a call may leave; `again`: it was refused before, and keeps its place. See `pace.Pace`."""

    def __call__(self, *, again: bool) -> AbstractContextManager[None]:
        """Return the context of one try."""


def at_once(*, again: bool) -> AbstractContextManager[None]:  # noqa: ARG001 -- a Turn
    """Let every call leave."""
    return nullcontext()


def again(
    once: Callable[[], Value],
    repeat: tuple[type[VastError], ...],
    seconds: float,
    clock: Clock,
    turn: Turn = at_once,
    tries: int = ATTEMPTS,
) -> Value:
    """Return what `once` returns, each try at its turn; `tries` bounds those that end in another doubt than a refusal for too
    many calls.

    `seconds` pass before the second try, and twice as many before each further one; after a refusal for too many calls as
    many as the market says, or `seconds`. Raises the last error.
    """
    began, refused = clock.monotonic(), 0

    def wait(state: Any) -> float:
        nonlocal refused
        error = state.outcome.exception()
        if isinstance(error, RateLimited):
            refused += 1
            return min(LONGEST_SECONDS, _jittered(seconds) if error.retry_after is None else error.retry_after)
        return min(LONGEST_SECONDS, _jittered(seconds * 2.0 ** (state.attempt_number - refused - 1)))

    def stop(state: Any) -> bool:  # called after `wait`
        if isinstance(state.outcome.exception(), RateLimited):
            return bool(clock.monotonic() + state.upcoming_sleep - began > RATE_LIMITED_WAITS * seconds)
        return bool(state.attempt_number - refused >= tries)

    policy = Retrying(retry=retry_if_exception_type(repeat), stop=stop, wait=wait, sleep=clock.sleep, reraise=True)

    def paced() -> Value:
        with turn(again=refused > 0):
            return once()

    return policy(paced)


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(1, 1 + JITTER)
