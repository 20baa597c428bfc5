"""Count the instances that wait to boot, across all processes of this computer that use one account.

Under load the market refuses its list sooner than a look at one instance. But a look by id costs each of many waiters a
call of its own. So a few waiters look by id, and a larger number share one list.

A waiter writes a file at each look. A waiter without a recent look counts as gone, no matter how it ended.
"""

from contextlib import suppress
from pathlib import Path

from bootstrap.clock import Clock

MOST_BY_ID = 3
GONE_SECONDS = 45.0  # market seconds without a look
LEAST_GONE_SECONDS = 2.0  # real seconds, because a busy computer looks late


class Waiters:
    """The waiters of one account. `folder` is private; see `account_directory`."""

    def __init__(self, folder: Path, time_scale: float = 1.0) -> None:
        self._folder = folder
        self._gone = max(LEAST_GONE_SECONDS, GONE_SECONDS / time_scale)

    def should_look_by_id(self, instance_id: int, clock: Clock) -> bool:
        """Note that we wait for an instance. Return True if few enough waiters exist to look at each by id."""
        now = clock.time()
        with suppress(OSError):  # on a full disk we still look, perhaps in the other way
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
