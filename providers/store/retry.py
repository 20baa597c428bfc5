"""Wait for a bucket that the store does not show yet, and for a store that answered before and now times out."""

from collections.abc import Callable
from typing import TypeVar

from bootstrap.clock import Clock
from providers.store.errors import BucketMissing, StoreUnreachable

T = TypeVar("T")

LATE_SECONDS = 300.0  # a fresh bucket answers NoSuchBucket for up to minutes at Hetzner
TROUBLE_SECONDS = 600.0
LONGEST_PAUSE_SECONDS = 15.0


def when_there(call: Callable[[], T], clock: Clock, report_progress: Callable[[str], None], name: str) -> T:
    """Return the result of `call`, repeated while the store says that there is no bucket `name`.

    Raises BucketMissing after LATE_SECONDS of that answer, and every other error at once.
    """
    return _again(
        call,
        clock,
        report_progress,
        f"the store does not show bucket {name} yet",
        lambda error: isinstance(error, BucketMissing),
    )


def through_trouble(
    call: Callable[[], T],
    clock: Clock,
    report_progress: Callable[[str], None],
    name: str,
    progress: Callable[[], float],
) -> T:
    """Return the result of `call`, repeated while the store shows no bucket or does not answer.

    `progress` grows with the bytes that arrived; TROUBLE_SECONDS count from its last growth. Raises the last StoreError.
    """
    what = f"the store of bucket {name} is in trouble"
    return _again(
        call,
        clock,
        report_progress,
        what,
        lambda error: isinstance(error, BucketMissing | StoreUnreachable),
        progress,
        TROUBLE_SECONDS,
    )


def _again(
    call: Callable[[], T],
    clock: Clock,
    report_progress: Callable[[str], None],
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
                report_progress(f"{what}: trying again for up to {left:.0f} s")
            clock.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
