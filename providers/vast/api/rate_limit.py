"""Rate limits for the market's calls, shared by every process that uses a key.

A limit is the smallest interval between two calls of one kind, or the number of calls in a window. Intervals are the
`threshold` values that the market publishes, in market seconds. For a market with a faster clock than ours (the
sandbox) we divide them by its time scale.

The market counts per endpoint and identity (bearer and address). So all provider processes of all updates on this
machine take turns through one small file for each call, in the account's directory. A process takes the next free
moment, moves it on by one interval and waits for it. The file hands out turns in order, without polling. The next
caller leaves one interval after the last answer, not after the last departure. Only the answer proves that the market
has counted the call, and 32 busy processes leave late. (We tried pyrate-limiter's store across processes. Its file lock
does not work with the current filelock, and it makes waiting callers race.)

Other computers may use the same account, and they share nothing with us but the market. A caller that always leaves at
the first allowed moment would block them and never notice. So a long row of calls leaves an interval free now and then.
A waiting computer gets through there, and the market refuses the next call of the row. So a refusal says that the
account is shared. For a while this computer then takes every second interval, and half of a window. The refused caller
keeps its place. It returns after a random part of an interval, sooner than callers that just had their turn.

If no file can be written, as on a full disk, each caller waits one interval by the clock. The market's refusals do the
rest. If a look failed for lack of disk space, that could cost a machine that serves.
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
# Calls that may come in bursts: (calls, market seconds). The market allows ten searches in a minute; we leave two to
# other programs of the same account.
WINDOWS: Mapping[str, tuple[int, float]] = {"search": (8, 60.0)}
MARGIN_SECONDS = 0.01  # two clocks never run quite alike, and unix seconds are rounded
LONGEST_ROW = 16  # calls in a row at the first allowed moment, before we leave an interval free
AT_ONCE = 0.25  # of an interval: a call that leaves this soon after the first allowed moment lets no other in
SHARED_SECONDS = 120.0  # market seconds after a refusal in which the account counts as shared with other computers
SHARES = 2  # on a shared account we take every n-th interval
LONGEST_BACK_SECONDS = 30.0  # the longest wait after a refusal
BACK = (0.3, 1.0)  # parts of an interval to wait after a refusal without a hint
FURTHEST_TURNS = 200  # a moment further ahead than this many turns means a clock that was set back, not a queue


class RateLimit(Protocol):
    """A rate limit that makes callers wait for their turn."""

    def turn(self, call: str, clock: Clock, /, again: bool = False) -> AbstractContextManager[None]:
        """Return a context for one call: enter waits until the call may leave, exit notes that the market answered.

        An exit by RateLimited notes a refusal. `again` is True after a refusal; the caller then keeps its place.
        """


class NoRateLimit:
    """No limit at all, for markets without thresholds."""

    def turn(self, _call: str, _clock: Clock, /, again: bool = False) -> AbstractContextManager[None]:  # noqa: ARG002
        """Return a context that enters at once."""
        return nullcontext()


class SharedRateLimit:
    """Rate limits that all processes share through the account's folder; see `account_directory`."""

    def __init__(self, folder: Path, time_scale: float = 1.0) -> None:
        self._folder = folder
        self._time_scale = time_scale

    @contextmanager
    def turn(self, call: str, clock: Clock, /, again: bool = False) -> Iterator[None]:
        """Wait for this caller's turn. Waits through the clock, so that the caller notices if the engine vanishes."""
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
        except OSError:  # a full disk, so the file can hand out no turn
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
        with suppress(OSError):  # a full disk must not lose the answer, which may be a rented instance's id
            self._answered(call, interval, clock.time())

    @contextmanager
    def _window(self, call: str, clock: Clock) -> Iterator[None]:
        """Wait until the window has room. A call counts from its answer, the only sign that the market counted it."""
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
            with suppress(OSError):  # a refused call counts, too: it returns later, and a window holds several
                self._count(call, window, clock.time())

    def _taken(self, call: str, most: int, window: float, now: float) -> float:
        """Take a place in the window and return 0, or return the seconds until there may be a place."""
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
        """Yield the window's moments in unix seconds, oldest first. Drops future ones, left by a clock set back."""
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
            moments.last = 0.0  # the market did not count the refused call

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
    """The state of one call's turns, in unix seconds.

    `free`: the next turn to hand out. `last`: when the last call left, or when the market answered it. `until`: no call
    leaves before. `shared`: the account counts as shared until then. `row` counts calls that left as soon as allowed.
    """

    free: float = 0.0
    last: float = 0.0
    until: float = 0.0
    shared: float = 0.0
    row: float = 0.0

    def spacing(self, interval: float, now: float) -> float:
        """Return the interval between two calls of this computer."""
        return interval * SHARES if self.is_shared(now) else interval

    def is_shared(self, now: float) -> bool:
        """Return True soon after a refusal."""
        return now < self.shared <= now + SHARED_SECONDS

    def back(self, now: float) -> float:
        """Return for how many seconds no call may leave; 0 if the moment is too far ahead (a clock was set back)."""
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
