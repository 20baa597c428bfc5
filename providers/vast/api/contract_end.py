"""When an instance's contract ends, pure: at its end the market stops the instance and later deletes it.

Moments in unix seconds. A market whose clock runs faster than ours reaches its ends sooner, by `time_scale`.
"""

from datetime import UTC, datetime

DAY = 86_400.0
WARNED_SECONDS = DAY  # before the end
ENDING_DRIFT = "contract: it ends at"


def ending(ends_at: float | None, now: float, time_scale: float = 1.0) -> str | None:
    """Say that the contract of an instance that runs ends within a day; None if it does not, or if the market names no end.

    An end that has passed is no end: the instance runs, so the market's word is in doubt.
    """
    if ends_at is None or not 0 < ends_at - now <= WARNED_SECONDS / time_scale:
        return None
    left = (ends_at - now) * time_scale / 3600
    moment = f"{datetime.fromtimestamp(ends_at, UTC):%Y-%m-%d %H:%M} UTC"
    return f"{ENDING_DRIFT} {moment}, in {left:.1f} h; then the market stops the instance"
