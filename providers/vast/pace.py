"""Request thresholds, shared by every process that uses a key: the smallest interval between two calls of one kind, or
how many of them a window holds.

The market counts per endpoint and identity (bearer and address), so all provider processes of all updates on this machine
draw their turns from one small file a call in the account's meeting place: take the next free moment, push it on by one
interval, wait for it. Turns are handed out in order, and nobody polls. The next caller leaves one interval after the
answer to the last, not after its departure: only the answer says when the market has counted it, and 32 busy processes
leave late. (pyrate-limiter's store across processes was tried: its file lock does not work together with the current
filelock, and it makes waiting callers race.)

Intervals are the `threshold` values that the market publishes, in market seconds; a market whose clock runs faster than
ours (the sandbox) divides them by its time scale.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bootstrap.clock import Clock

INTERVALS: Mapping[str, float] = {
    "rent": 4.5,
    "show": 2.0,
    "list": 1.0,
    "destroy": 3.0,
    "logs": 1.0,
    "ssh": 2.0,
    "account": 1.0,
    "charges": 1.0,
}
# Calls that may come in bursts: so many in so many market seconds. The market allows ten searches in a minute; two are left
# to other programs of the same account.
WINDOWS: Mapping[str, tuple[int, float]] = {"search": (8, 60.0)}
MARGIN_SECONDS = 0.01  # two clocks never run quite alike, and unix seconds are rounded
FURTHEST_TURNS = 200  # a moment further ahead than this many turns is a clock that was set back, not a queue


class Pace(Protocol):
    """Whatever makes a caller wait for its turn."""

    def turn(self, call: str, clock: Clock, /) -> AbstractContextManager[None]:
        """Enter when one more call of this kind is allowed; leave when it was answered."""


class NoPace:
    """Lets everybody through; for markets without thresholds."""

    def turn(self, _call: str, _clock: Clock, /) -> AbstractContextManager[None]:
        """Enter at once."""
        return nullcontext()


class SharedPace:
    """Thresholds shared by all processes through the account's folder; see `meeting.meeting_place`."""

    def __init__(self, folder: Path, time_scale: float = 1.0) -> None:
        self._folder = folder
        self._time_scale = time_scale

    @contextmanager
    def turn(self, call: str, clock: Clock, /) -> Iterator[None]:
        """Enter when it is this caller's turn; waits through the clock, so that a vanished engine is noticed."""
        if call in WINDOWS:
            with self._window(call, clock):
                yield
            return
        interval = INTERVALS[call] / self._time_scale + MARGIN_SECONDS
        clock.sleep(max(0.0, self._turn(call, interval, clock.time()) - clock.time()))
        while (early := self._early(call, interval, clock.time())) > 0:
            clock.sleep(early)
        try:
            yield
        finally:
            with suppress(OSError):  # a full disk must not cost the answer, which may be the id of what was rented
                self._answered(call, interval, clock.time())

    @contextmanager
    def _window(self, call: str, clock: Clock) -> Iterator[None]:
        """Enter when the window has room. A call counts from its answer, because only that says when the market counted."""
        most, seconds = WINDOWS[call]
        window = seconds / self._time_scale + MARGIN_SECONDS
        while (wait := self._taken(call, most, window, clock.time())) > 0:
            clock.sleep(wait)
        try:
            yield
        finally:
            with suppress(OSError):
                self._count(call, window, clock.time())

    def _taken(self, call: str, most: int, window: float, now: float) -> float:
        """Take a place and return 0, or return for how many seconds there is none."""
        with self._places(call, window, now) as places:
            if len(places) >= most:
                return max(MARGIN_SECONDS, places[-most] + window - now)
            places.append(now)
        return 0.0

    def _count(self, call: str, window: float, now: float) -> None:
        with self._places(call, window, now) as places:
            if places:
                places.pop()
            places.append(now)

    @contextmanager
    def _places(self, call: str, window: float, now: float) -> Iterator[list[float]]:
        """Give the moments that the window holds, oldest first, in unix seconds; later ones are of a clock set back."""
        with (self._folder / f"window-{call}").open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            places = sorted(moment for moment in _numbers(file.read()) if now - window < moment <= now + MARGIN_SECONDS)
            yield places
            file.seek(0)
            file.truncate()
            file.write(" ".join(map(repr, places)))

    def _turn(self, call: str, interval: float, now: float) -> float:
        with self._moments(call) as moments:
            turn = max(now, moments.free) if moments.free < now + FURTHEST_TURNS * interval else now
            moments.free = turn + interval
        return turn

    def _early(self, call: str, interval: float, now: float) -> float:
        with self._moments(call) as moments:
            early = moments.last + interval - now
            if MARGIN_SECONDS / 2 < early <= interval:
                return early
            moments.last = now
        return 0.0

    def _answered(self, call: str, interval: float, now: float) -> None:
        with self._moments(call) as moments:
            moments.last = now
            moments.free = max(moments.free, now + interval)

    @contextmanager
    def _moments(self, call: str) -> Iterator[_Moments]:
        with (self._folder / f"turn-{call}").open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            moments = _moments(file.read())
            yield moments
            file.seek(0)
            file.truncate()
            file.write(f"{moments.free!r} {moments.last!r}")


@dataclass
class _Moments:
    """In unix seconds: `free`, the next turn to hand out; `last`, when the last call left or was answered."""

    free: float = 0.0
    last: float = 0.0


def _moments(text: str) -> _Moments:
    numbers = _numbers(text)
    return _Moments(*numbers) if len(numbers) == 2 else _Moments()


def _numbers(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split()]
    except ValueError:
        return []
