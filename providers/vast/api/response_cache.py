"""A cache of the market's answers, shared by every process that uses the account: one asks, the others share.

The market allows one list a second and ten searches a minute for the whole account. If each of 32 instances asked for
itself, a fleet would wait longer for its turns than for its machines. A caller says how old an answer may be. The
strictest demand is "asked after I came". All callers that came meanwhile still share the next answer.

Times are monotonic seconds. On Linux all processes count them from the same boot.
"""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bootstrap.clock import Clock
from providers.vast.api.boot_waiters import Waiters
from providers.vast.api.errors import OutcomeUnknown, RateLimited, VastError
from providers.vast.api.outage import Outage
from providers.vast.api.rows import Listing

LOOK_SECONDS = 0.03  # first pause while another process asks
LOOK_SHARE = 0.1  # later pauses, as a share of the time waited so far
LONGEST_LOOK_SECONDS = 1.0  # market seconds
PROBE_SECONDS = 5.0  # market seconds; in an outage only one process asks in each such period
FAILED = ".failed"
ONE = "about one instance"

Rows = list[dict[str, Any]]
Value = TypeVar("Value")


class _Answer(BaseModel):
    asked: float  # monotonic seconds
    answered: float | None = None
    rows: Rows


class _Failure(BaseModel):
    failed: float  # monotonic seconds
    call: str
    what_happened: str | None  # None: the market refused too many calls


class ResponseCache:
    """The answers of one account, one file for each question. `folder` is private; see `account_directory`."""

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
        """Return an answer to `question` that some process asked for at `since` or later; else call `ask`.

        With `age_seconds`, an answer that was complete up to so long before `since` is enough. An answer of many pages
        takes time, and no process could share it if only its start counted. `ask` returns the moment of asking and the
        rows. Waits through the clock while another process asks, and shares its doubt. In an outage it also shares a
        doubt of the last moments. Raises the errors of `ask` and of the clock. Other failures stay with their process.
        """
        file, came = self._file(question), clock.monotonic()
        recent = came - self._probe if self.outage.lasts(clock) else came
        while True:
            if (known := _read(file, since, clock, age_seconds)) is not None:
                return known.rows
            if (doubt := _shared_doubt(file, recent, clock)) is not None:
                raise doubt
            with _only_one(file.with_suffix(".lock")) as mine:
                if mine:
                    if (known := _read(file, since, clock, age_seconds)) is not None:
                        return known.rows
                    return self._asked(file, ask, clock)
            self._pause(came, clock)

    def probed(self, ask: Callable[[], Value], clock: Clock) -> Value:
        """Return the answer of `ask` about one instance. In an outage one process asks, and the others share its doubt.

        They ask for themselves once any process has an answer. Raises the errors of `ask` and of the clock.
        """
        file, came = self._file(ONE), clock.monotonic()
        while self.outage.lasts(clock):
            if (doubt := _shared_doubt(file, came - self._probe, clock)) is not None:
                raise doubt
            with _only_one(file.with_suffix(".lock")) as mine:
                if mine:
                    with _leaving_doubt(file, clock):
                        return ask()
            self._pause(came, clock)
        return ask()

    def _pause(self, came: float, clock: Clock) -> None:
        waited = clock.monotonic() - came
        clock.sleep(min(max(LOOK_SECONDS, waited * LOOK_SHARE), self._longest_look))

    def _asked(self, file: Path, ask: Callable[[], tuple[float, Rows]], clock: Clock) -> Rows:
        with _leaving_doubt(file, clock):
            asked, rows = ask()
        answer = _Answer(asked=asked, answered=clock.monotonic(), rows=rows)
        _write(file, answer)
        return answer.rows

    def last(self, question: str, since: float, clock: Clock) -> Rows | None:
        """Return the cached answer if a process asked for it at `since` or later, else None. Never asks the market."""
        known = _read(self._file(question), since, clock, 0.0)
        return known.rows if known else None

    def forget(self, question: str) -> None:
        """Drop an answer, so that the next caller asks the market."""
        with contextlib.suppress(OSError):
            self._file(question).unlink(missing_ok=True)

    def _file(self, question: str) -> Path:
        return self._folder / f"answer-{hashlib.sha256(question.encode()).hexdigest()[:16]}.json"


def question(query: dict[str, Any]) -> str:
    """Return the text that identifies a query in the cache."""
    return json.dumps(query, sort_keys=True)


def dumped(asked: float, found: Listing[Any]) -> tuple[float, Rows]:
    """Return the moment of asking and the listing's rows in the cache's form."""
    return asked, found.dumped()


def _read(file: Path, since: float, clock: Clock, age_seconds: float) -> _Answer | None:
    try:
        answer = _Answer.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None
    complete = answer.asked if answer.answered is None else answer.answered
    fresh = since <= answer.asked or (age_seconds > 0 and since - age_seconds <= complete)
    return answer if fresh and max(answer.asked, complete) <= clock.monotonic() else None


def _shared_doubt(file: Path, came: float, clock: Clock) -> VastError | None:
    """Return the doubt that another process met at `came` or later, or None."""
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


@contextlib.contextmanager
def _leaving_doubt(file: Path, clock: Clock) -> Iterator[None]:
    """Write the doubt in which the block ends, for the processes that wait for it."""
    try:
        yield
    except (OutcomeUnknown, RateLimited) as doubt:
        what = doubt.what_happened if isinstance(doubt, OutcomeUnknown) else None
        _write(file.with_suffix(FAILED), _Failure(failed=clock.monotonic(), call=doubt.call, what_happened=what))
        raise


def _write(file: Path, what: BaseModel) -> None:
    """Write an answer for other processes. On a full disk this caller still has it, and the others ask themselves."""
    part = file.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        part.write_text(json.dumps(what.model_dump()))
        part.replace(file)


@contextlib.contextmanager
def _only_one(file: Path) -> Iterator[bool]:
    """Yield True if this process got the lock. The lock ends with the block, or with the process.

    If the lock file cannot be created, every process asks.
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
