"""Request thresholds: the smallest interval between two calls of one kind, shared by every process that uses a key.

The market counts per endpoint and identity (bearer and address), so all provider processes of all updates on this machine
draw their turns from one small file a call in the account's meeting place: take the next free moment, push it on by one
interval, wait for it. Turns are handed out in order, and nobody polls. (pyrate-limiter's store across processes was tried:
its file lock does not work together with the current filelock, and it makes waiting callers race.)

Intervals are the `threshold` values that the market publishes, in market seconds; a market whose clock runs faster than
ours (the sandbox) divides them by its time scale.
"""

import fcntl
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from bootstrap.clock import Clock

INTERVALS: Mapping[str, float] = {
    "rent": 4.5,
    "search": 6.0,
    "show": 2.0,
    "list": 1.0,
    "destroy": 3.0,
    "logs": 1.0,
    "account": 1.0,
}
MARGIN_SECONDS = 0.02  # the wire may bring two calls closer together than they left
FURTHEST_TURNS = 200  # a moment further ahead than this many turns is a clock that was set back, not a queue


class Pace(Protocol):
    """Whatever makes a caller wait for its turn."""

    def wait(self, call: str, clock: Clock) -> None:
        """Return when one more call of this kind is allowed."""


class NoPace:
    """Lets everybody through; for markets without thresholds."""

    def wait(self, call: str, clock: Clock) -> None:
        """Return at once."""


class SharedPace:
    """Thresholds shared by all processes through the account's folder; see `meeting.meeting_place`."""

    def __init__(self, folder: Path, time_scale: float = 1.0) -> None:
        self._folder = folder
        self._time_scale = time_scale

    def wait(self, call: str, clock: Clock) -> None:
        """Return when it is this caller's turn; waits through the clock, so that a vanished engine is noticed."""
        interval = INTERVALS[call] / self._time_scale + MARGIN_SECONDS
        clock.sleep(max(0.0, self._turn(call, interval, clock.time()) - clock.time()))

    def _turn(self, call: str, interval: float, now: float) -> float:
        with (self._folder / f"turn-{call}").open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            free = _moment(file.read())
            turn = max(now, free) if free < now + FURTHEST_TURNS * interval else now
            file.seek(0)
            file.truncate()
            file.write(repr(turn + interval))
        return turn


def _moment(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
