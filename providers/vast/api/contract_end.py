"""Tell when an instance's contract ends; pure. At the end the market stops the instance and later deletes it.

Times are unix seconds. A market whose clock runs faster reaches its ends sooner, by `time_scale`.
"""

from datetime import UTC, datetime

DAY = 86_400.0
WARNED_SECONDS = DAY  # how long before the end we warn
ENDING_DRIFT = "contract: it ends at"


def ending(ends_at: float | None, now: float, time_scale: float = 1.0) -> str | None:
    """Return a warning if the contract of a running instance ends within a day, else None.

    None also if the market names no end. An end in the past counts as none: the instance runs, so the market's date is
    in doubt.
    """
    if ends_at is None or not 0 < ends_at - now <= WARNED_SECONDS / time_scale:
        return None
    left = (ends_at - now) * time_scale / 3600
    moment = f"{datetime.fromtimestamp(ends_at, UTC):%Y-%m-%d %H:%M} UTC"
    return f"{ENDING_DRIFT} {moment}, in {left:.1f} h; then the market stops the instance"
