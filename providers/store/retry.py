"""Waits for a bucket that the store does not show yet, and through a store that times out after it has answered."""

from collections.abc import Callable
from typing import TypeVar

from bootstrap.clock import Clock
from providers.store.errors import BucketMissing, StoreUnreachable

T = TypeVar("T")

LATE_SECONDS = 300.0  # a fresh bucket answers NoSuchBucket for up to minutes at Hetzner
TROUBLE_SECONDS = 600.0
LONGEST_PAUSE_SECONDS = 15.0


def when_there(call: Callable[[], T], clock: Clock, say: Callable[[str], None], name: str) -> T:
    """Return what `call` returns, asked again while the store says that the bucket `name` is not there.

    Raises BucketMissing when it has said so for LATE_SECONDS, and all else at once.
    """
    return _again(
        call, clock, say, f"bucket {name} is not to be seen yet", lambda error: isinstance(error, BucketMissing)
    )


def through_trouble(
    call: Callable[[], T], clock: Clock, say: Callable[[str], None], name: str, progress: Callable[[], float]
) -> T:
    """Return what `call` returns, asked again while the bucket is not there, or while a store that did answer does not.

    `progress` grows with what has arrived: the time counts from its last growth. Raises the last StoreError.
    """
    what = f"the store of bucket {name} is in trouble"
    return _again(
        call,
        clock,
        say,
        what,
        lambda error: isinstance(error, BucketMissing | StoreUnreachable),
        progress,
        TROUBLE_SECONDS,
    )


def _again(
    call: Callable[[], T],
    clock: Clock,
    say: Callable[[str], None],
    what: str,
    passes: Callable[[Exception], bool],
    progress: Callable[[], float] = lambda: 0.0,
    seconds: float = LATE_SECONDS,
) -> T:
    since, reached, pause = clock.monotonic(), progress(), 1.0
    while True:
        try:
            return call()
        except (BucketMissing, StoreUnreachable) as error:
            if progress() > reached:
                since, reached, pause = clock.monotonic(), progress(), 1.0
            left = since + seconds - clock.monotonic()
            if not passes(error) or left <= 0:
                raise
            if pause == 1.0:
                say(f"{what}: trying again for up to {left:.0f} s")
            clock.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
