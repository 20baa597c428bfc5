"""A call to the market is made again after an error of some kinds, a few times: the layer below `patient`."""

import random
from collections.abc import Callable
from typing import Any, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from bootstrap.clock import Clock
from providers.vast.errors import RateLimited, VastError

Value = TypeVar("Value")
ATTEMPTS = 6
LONGEST_SECONDS = 30.0
JITTER = 0.25  # of a wait, so that those who wait do not come back all at once


def again(once: Callable[[], Value], repeat: tuple[type[VastError], ...], seconds: float, clock: Clock) -> Value:
    """Return what `once` returns. `seconds` pass before the second try, and twice as many before each further one; a hint of
    the market's is kept to. Raises the last error.
    """

    def wait(state: Any) -> float:
        error = state.outcome.exception()
        hint = error.retry_after if isinstance(error, RateLimited) else None
        doubled = seconds * 2.0 ** (state.attempt_number - 1) * random.uniform(1, 1 + JITTER)
        return min(LONGEST_SECONDS, hint if hint is not None else doubled)

    policy = Retrying(
        retry=retry_if_exception_type(repeat),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait,
        sleep=clock.sleep,
        reraise=True,
    )
    return policy(once)
