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
from providers.vast.waiters import Waiters

LOOK_SECONDS = 0.03  # while another one asks, at first
LONGEST_LOOK_SECONDS = 0.25  # market seconds

Rows = list[dict[str, Any]]


class _Answer(BaseModel):
    asked: float  # monotonic seconds
    answered: float | None = None
    rows: Rows


class SharedAnswers:
    """The answers of one account, one file a question. `folder` is private; see `meeting.meeting_place`."""

    def __init__(self, folder: Path, time_scale: float = 1.0) -> None:
        self._folder = folder
        self.waiters = Waiters(folder, time_scale)
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
        its answer. Waits through the clock while somebody else asks. Raises what `ask` and the clock raise; a failure is
        shared with nobody.
        """
        file, look = self._file(question), LOOK_SECONDS
        while True:
            if (known := _read(file, since, clock, age_seconds)) is not None:
                return known.rows
            with _only_one(file.with_suffix(".lock")) as mine:
                if mine:
                    if (known := _read(file, since, clock, age_seconds)) is not None:
                        return known.rows
                    asked, rows = ask()
                    answer = _Answer(asked=asked, answered=clock.monotonic(), rows=rows)
                    _write(file, answer)
                    return answer.rows
            clock.sleep(look)
            look = min(1.5 * look, self._longest_look)

    def last(self, question: str, since: float, clock: Clock) -> Rows | None:
        """Return the last answer if it was asked at `since` or later, without asking."""
        known = _read(self._file(question), since, clock, 0.0)
        return known.rows if known else None

    def forget(self, question: str) -> None:
        """Have the next caller ask."""
        self._file(question).unlink(missing_ok=True)

    def _file(self, question: str) -> Path:
        return self._folder / f"answer-{hashlib.sha256(question.encode()).hexdigest()[:16]}.json"


def _read(file: Path, since: float, clock: Clock, age_seconds: float) -> _Answer | None:
    try:
        answer = _Answer.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None
    complete = answer.asked if answer.answered is None else answer.answered
    fresh = since <= answer.asked or (age_seconds > 0 and since - age_seconds <= complete)
    return answer if fresh and max(answer.asked, complete) <= clock.monotonic() else None


def _write(file: Path, answer: _Answer) -> None:
    part = file.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(answer.model_dump()))
    part.replace(file)


@contextlib.contextmanager
def _only_one(file: Path) -> Iterator[bool]:
    """Say whether the lock is ours; it ends with the block, and with the process however that ends."""
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
