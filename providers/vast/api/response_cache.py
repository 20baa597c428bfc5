"""Answers of the market, shared by every process that uses the account: of all that want to know the same, one asks.

The market allows one list a second and ten searches a minute for the whole account. A fleet of 32 whose instances each
asked for themselves would wait for its turns longer than for its machines. A caller says how old an answer may be; "asked
after I came" is the strictest, and still lets everybody who came meanwhile share the next one.

Moments are monotonic seconds, which on Linux are the same for all processes since boot.
"""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from bootstrap.clock import Clock
from providers.vast.api.boot_waiters import Waiters
from providers.vast.api.errors import OutcomeUnknown, RateLimited, VastError
from providers.vast.api.outage import Outage
from providers.vast.api.rows import Listing

LOOK_SECONDS = 0.03  # while another one asks, at first
LOOK_SHARE = 0.1  # of what was waited, later
LONGEST_LOOK_SECONDS = 1.0  # market seconds
PROBE_SECONDS = 5.0  # market seconds: in an outage one of all asks so often
FAILED = ".failed"

Rows = list[dict[str, Any]]


class _Answer(BaseModel):
    asked: float  # monotonic seconds
    answered: float | None = None
    rows: Rows


class _Failure(BaseModel):
    failed: float  # monotonic seconds
    call: str
    what_happened: str | None  # None: refused for too many calls


class ResponseCache:
    """The answers of one account, one file a question. `folder` is private; see `meeting.meeting_place`."""

    def __init__(self, folder: Path, time_scale: float = 1.0) -> None:
        self._folder = folder
        self.waiters = Waiters(folder, time_scale)
        self.outage = Outage(folder, time_scale)
        self._probe = PROBE_SECONDS / time_scale
        self._longest_look = max(LOOK_SECONDS, LONGEST_LOOK_SECONDS / time_scale)

    def get(
        self,
        question: str,
        since: float,
        ask: Callable[[], tuple[float, Rows]],
        clock: Clock,
        age_seconds: float = 0.0,
    ) -> Rows:
        """Return an answer to `question` that was asked at `since` or later, by `ask` where there is none yet.

        With `age_seconds` one that was complete so long before `since` will do: an answer of many pages takes its time, and
        if only its beginning counted, nobody could share it. `ask` returns the moment at which the market was asked, and
        its answer. Waits through the clock while somebody else asks, and shares its doubt if that ends in one; in an outage
        also one of a moment before. Raises what `ask` and the clock raise; another failure is shared with nobody.
        """
        file, came = self._file(question), clock.monotonic()
        recent = came - self._probe if self.outage.lasts(clock) else came
        while True:
            if (known := _read(file, since, clock, age_seconds)) is not None:
                return known.rows
            if (doubt := _doubt(file, recent, clock)) is not None:
                raise doubt
            with _only_one(file.with_suffix(".lock")) as mine:
                if mine:
                    if (known := _read(file, since, clock, age_seconds)) is not None:
                        return known.rows
                    return self._asked(file, ask, clock)
            waited = clock.monotonic() - came
            clock.sleep(min(max(LOOK_SECONDS, waited * LOOK_SHARE), self._longest_look))

    def _asked(self, file: Path, ask: Callable[[], tuple[float, Rows]], clock: Clock) -> Rows:
        try:
            asked, rows = ask()
        except (OutcomeUnknown, RateLimited) as doubt:
            what = doubt.what_happened if isinstance(doubt, OutcomeUnknown) else None
            failure = _Failure(failed=clock.monotonic(), call=doubt.call, what_happened=what)
            _write(file.with_suffix(FAILED), failure)
            raise
        answer = _Answer(asked=asked, answered=clock.monotonic(), rows=rows)
        _write(file, answer)
        return answer.rows

    def last(self, question: str, since: float, clock: Clock) -> Rows | None:
        """Return the last answer if it was asked at `since` or later, without asking."""
        known = _read(self._file(question), since, clock, 0.0)
        return known.rows if known else None

    def forget(self, question: str) -> None:
        """Have the next caller ask."""
        with contextlib.suppress(OSError):
            self._file(question).unlink(missing_ok=True)

    def _file(self, question: str) -> Path:
        return self._folder / f"answer-{hashlib.sha256(question.encode()).hexdigest()[:16]}.json"


def question(query: dict[str, Any]) -> str:
    """Return the one text by which a query is known."""
    return json.dumps(query, sort_keys=True)


def dumped(asked: float, found: Listing[Any]) -> tuple[float, Rows]:
    """Return a listing, and when it was asked for, as they are shared."""
    return asked, found.dumped()


def _read(file: Path, since: float, clock: Clock, age_seconds: float) -> _Answer | None:
    try:
        answer = _Answer.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None
    complete = answer.asked if answer.answered is None else answer.answered
    fresh = since <= answer.asked or (age_seconds > 0 and since - age_seconds <= complete)
    return answer if fresh and max(answer.asked, complete) <= clock.monotonic() else None


def _doubt(file: Path, came: float, clock: Clock) -> VastError | None:
    """Return the doubt in which somebody's question ended after a moment."""
    try:
        failure = _Failure.model_validate_json(file.with_suffix(FAILED).read_bytes())
    except (OSError, ValidationError):
        return None
    if not came <= failure.failed <= clock.monotonic():
        return None
    return (
        RateLimited(failure.call)
        if failure.what_happened is None
        else OutcomeUnknown(failure.call, failure.what_happened)
    )


def _write(file: Path, what: BaseModel) -> None:
    """Share something; on a full disk whoever asked has it all the same, and the others ask for themselves."""
    part = file.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        part.write_text(json.dumps(what.model_dump()))
        part.replace(file)


@contextlib.contextmanager
def _only_one(file: Path) -> Iterator[bool]:
    """Say whether the lock is ours; it ends with the block, and with the process however that ends. Where no lock can be
    made everybody asks.
    """
    try:
        lock = file.open("w")
    except OSError:
        yield True
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
