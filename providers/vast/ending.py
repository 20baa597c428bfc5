"""When an instance's contract ends, pure: at its end the market stops the instance and later deletes it.

Moments in unix seconds. A market whose clock runs faster than ours reaches its ends sooner, by `time_scale`.
"""

from datetime import UTC, datetime

DAY = 86_400.0
WARNED_SECONDS = DAY  # before the end
ENDING_DRIFT = "contract"


def ending(ends_at: float | None, now: float, time_scale: float = 1.0) -> str | None:
    """Say that a contract ends within a day; None where it does not, or where the market does not say when."""
    if ends_at is None or ends_at - now > WARNED_SECONDS / time_scale:
        return None
    moment = f"{datetime.fromtimestamp(ends_at, UTC):%Y-%m-%d %H:%M} UTC"
    left = (ends_at - now) * time_scale / 3600
    when = f"ends at {moment}, in {left:.1f} h" if left > 0 else f"ended at {moment}"
    return f"{ENDING_DRIFT}: it {when}; then the market stops the instance"
