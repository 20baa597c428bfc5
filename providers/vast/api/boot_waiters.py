"""Who waits for an instance to boot, over all processes of this computer that use one account.

The market's list is refused under load sooner than a look at one instance, and a look by id gives each of many waiters a
call of its own. So few waiters look by id, and more of them share one list. A waiter leaves a file at each look; one that
has not looked for a while has gone, however it ended.
"""

from contextlib import suppress
from pathlib import Path

from bootstrap.clock import Clock

MOST_BY_ID = 3
GONE_SECONDS = 45.0  # market seconds without a look
LEAST_GONE_SECONDS = 2.0  # of ours: a busy computer looks late


class Waiters:
    """The waiters of one account. `folder` is private; see `meeting.meeting_place`."""

    def __init__(self, folder: Path, time_scale: float = 1.0) -> None:
        self._folder = folder
        self._gone = max(LEAST_GONE_SECONDS, GONE_SECONDS / time_scale)

    def few(self, instance_id: int, clock: Clock) -> bool:
        """Note that we wait for an instance; say whether so few are waited for that each is looked at by itself."""
        now = clock.time()
        with suppress(OSError):  # a full disk changes how we look, not whether
            (self._folder / f"waits-{instance_id}").write_text(repr(now))
        waiting = 0
        for file in self._folder.glob("waits-*"):
            if now - self._gone <= _moment(file) <= now + self._gone:
                waiting += 1
            else:
                with suppress(OSError):
                    file.unlink(missing_ok=True)
        return waiting <= MOST_BY_ID


def _moment(file: Path) -> float:
    try:
        return float(file.read_text())
    except (OSError, ValueError):
        return float("-inf")
