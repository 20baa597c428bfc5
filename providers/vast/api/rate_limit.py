"""Request thresholds, shared by every process that uses a key: the smallest interval between two calls of one kind, or
how many of them a window holds.

The market counts per endpoint and identity (bearer and address), so all provider processes of all updates on this machine
draw their turns from one small file a call in the account's meeting place: take the next free moment, push it on by one
interval, wait for it. Turns are handed out in order, and nobody polls. The next caller leaves one interval after the
answer to the last, not after its departure: only the answer says when the market has counted it, and 32 busy processes
leave late. (pyrate-limiter's store across processes was tried: its file lock does not work together with the current
filelock, and it makes waiting callers race.)

Other computers may use the same account, and the market is all that they have in common. A caller that comes at the first
allowed moment again and again would shut them out without ever hearing of it. So a long row of calls leaves an interval free
now and then; whoever waits gets through there, and the next call of the row is refused. A refusal therefore says that the
account is shared: for a while this computer takes every second interval, and half of a window. The refused caller keeps its
place and comes back after a random part of an interval, sooner than those who just had their turn.

Where nothing can be written, as on a full disk, each caller waits one interval by the clock, and the market's refusals
do the rest: a look that failed for want of room could cost a machine that serves.

Intervals are the `threshold` values that the market publishes, in market seconds; a market whose clock runs faster than
ours (the sandbox) divides them by its time scale.
"""

from __future__ import annotations

import fcntl
import random
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Protocol

from bootstrap.clock import Clock
from providers.vast.api.errors import RateLimited

INTERVALS: Mapping[str, float] = {
    "rent": 4.5,
    "show": 2.0,
    "list": 1.0,
    "change": 1.0,
    "destroy": 3.0,
    "logs": 1.0,
    "ssh": 2.0,
    "account": 2.0,
    "charges": 1.0,
}
# Calls that may come in bursts: so many in so many market seconds. The market allows ten searches in a minute; two are left
# to other programs of the same account.
WINDOWS: Mapping[str, tuple[int, float]] = {"search": (8, 60.0)}
MARGIN_SECONDS = 0.01  # two clocks never run quite alike, and unix seconds are rounded
LONGEST_ROW = 16  # calls at the first allowed moment each, before an interval is left free
AT_ONCE = 0.25  # of an interval: who leaves so soon after the first allowed moment lets nobody between
SHARED_SECONDS = 120.0  # market seconds after a refusal in which the account counts as shared with other computers
SHARES = 2  # every n-th interval is taken meanwhile
LONGEST_BACK_SECONDS = 30.0  # after a refusal
BACK = (0.3, 1.0)  # of an interval, after a refusal without a hint
FURTHEST_TURNS = 200  # a moment further ahead than this many turns is a clock that was set back, not a queue


class RateLimit(Protocol):
    """Whatever makes a caller wait for its turn."""

    def turn(self, call: str, clock: Clock, /, again: bool = False) -> AbstractContextManager[None]:
        """Enter when one more call of this kind is allowed; leave when it was answered, by RateLimited where it was refused.

        `again`: it was refused before, and keeps its place among those who wait.
        """


class NoRateLimit:
    """Lets everybody through; for markets without thresholds."""

    def turn(self, _call: str, _clock: Clock, /, again: bool = False) -> AbstractContextManager[None]:  # noqa: ARG002
        """Enter at once."""
        return nullcontext()


class SharedRateLimit:
    """Thresholds shared by all processes through the account's folder; see `meeting.meeting_place`."""

    def __init__(self, folder: Path, time_scale: float = 1.0) -> None:
        self._folder = folder
        self._time_scale = time_scale

    @contextmanager
    def turn(self, call: str, clock: Clock, /, again: bool = False) -> Iterator[None]:
        """Enter when it is this caller's turn; waits through the clock, so that a vanished engine is noticed."""
        if call in WINDOWS:
            with self._window(call, clock):
                yield
            return
        interval = INTERVALS[call] / self._time_scale + MARGIN_SECONDS
        try:
            if not again:
                clock.sleep(max(0.0, self._turn(call, interval, clock.time()) - clock.time()))
            while (early := self._early(call, interval, clock.time())) > 0:
                clock.sleep(early)
        except OSError:  # a full disk, on which no turn can be kept
            clock.sleep(interval)
        try:
            yield
        except RateLimited as refused:
            with suppress(OSError):
                self._refused(call, interval, clock.time(), refused.retry_after)
            raise
        except BaseException:
            with suppress(OSError):
                self._answered(call, interval, clock.time())
            raise
        with suppress(OSError):  # a full disk must not cost the answer, which may be the id of what was rented
            self._answered(call, interval, clock.time())

    @contextmanager
    def _window(self, call: str, clock: Clock) -> Iterator[None]:
        """Enter when the window has room. A call counts from its answer, because only that says when the market counted."""
        most, seconds = WINDOWS[call]
        window = seconds / self._time_scale + MARGIN_SECONDS
        try:
            while (wait := self._taken(call, most, window, clock.time())) > 0:
                clock.sleep(wait)
        except OSError:
            clock.sleep(window / most)
        try:
            yield
        except RateLimited as refused:
            with suppress(OSError):
                self._refused(call, window / most, clock.time(), refused.retry_after)
            raise
        finally:
            with suppress(OSError):  # a place of a refused call, too: it comes back later, and a window holds several
                self._count(call, window, clock.time())

    def _taken(self, call: str, most: int, window: float, now: float) -> float:
        """Take a place and return 0, or return for how many seconds there is none."""
        with self._moments(call) as moments:
            back = moments.back(now)
            most = most // SHARES if moments.is_shared(now) else most
        if back > 0:
            return back
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
            moments.free = turn + moments.spacing(interval, now)
        return turn

    def _early(self, call: str, interval: float, now: float) -> float:
        with self._moments(call) as moments:
            spacing = moments.spacing(interval, now)
            if (back := moments.back(now)) > 0:
                return back
            early = moments.last + spacing - now
            if MARGIN_SECONDS / 2 < early <= spacing:
                return early
            at_once = -early <= interval * AT_ONCE
            moments.row = moments.row + 1 if at_once else 0
            if moments.row >= LONGEST_ROW:
                moments.until, moments.row = now + interval, 0
                return interval
            moments.last = now
        return 0.0

    def _answered(self, call: str, interval: float, now: float) -> None:
        with self._moments(call) as moments:
            moments.last = now
            moments.free = max(moments.free, now + moments.spacing(interval, now))

    def _refused(self, call: str, interval: float, now: float, hint: float | None) -> None:
        with self._moments(call) as moments:
            moments.shared = now + SHARED_SECONDS / self._time_scale
            back = interval * random.uniform(*BACK) if hint is None else hint + interval * random.uniform(0, BACK[0])
            moments.until = now + min(back, LONGEST_BACK_SECONDS)
            moments.last = 0.0  # it was not counted

    @contextmanager
    def _moments(self, call: str) -> Iterator[_Moments]:
        with (self._folder / f"turn-{call}").open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            moments = _moments(file.read())
            yield moments
            file.seek(0)
            file.truncate()
            file.write(" ".join(map(repr, astuple(moments))))


@dataclass
class _Moments:
    """In unix seconds: `free`, the next turn to hand out; `last`, when the last call left or was answered; `until`, before
    which none leaves; `shared`, until when the account counts as shared. `row` counts calls that left as soon as allowed.
    """

    free: float = 0.0
    last: float = 0.0
    until: float = 0.0
    shared: float = 0.0
    row: float = 0.0

    def spacing(self, interval: float, now: float) -> float:
        """Return how far apart two calls of this computer are."""
        return interval * SHARES if self.is_shared(now) else interval

    def is_shared(self, now: float) -> bool:
        """Say whether a refusal was not long ago."""
        return now < self.shared <= now + SHARED_SECONDS

    def back(self, now: float) -> float:
        """Return for how many seconds nobody leaves; a moment too far ahead is of a clock that was set back."""
        back = self.until - now
        return back if MARGIN_SECONDS / 2 < back <= LONGEST_BACK_SECONDS else 0.0


def _moments(text: str) -> _Moments:
    numbers = _numbers(text)
    return _Moments(*numbers) if len(numbers) in (2, len(fields(_Moments))) else _Moments()


def _numbers(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split()]
    except ValueError:
        return []
