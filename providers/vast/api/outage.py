"""Notice an outage of the market once for all processes of this computer.

A caller without a usable answer retries for half a minute before it reports an outage. If each of fifty callers did so
in turn, the last would report it half an hour later. So all of them try together: as many tries as one caller has, over
as long, end the tries of all if no process got an answer. The first that stops leaves a note, and while the note holds
every caller tries once.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bootstrap.clock import Clock
from providers.vast.api.errors import OutcomeUnknown, VastError
from providers.vast.api.retry import ATTEMPTS

REMEMBERED_SECONDS = 60.0  # market seconds after the last call without an answer
TRIED_SECONDS = 31.0  # market seconds that one caller's tries take


class Outage:
    """The outage note of one account, in its private folder; see `account_directory`."""

    def __init__(self, folder: Path, time_scale: float = 1.0) -> None:
        self._file, self._doubted = folder / "outage", folder / "doubted"
        self._remembered, self._tried = REMEMBERED_SECONDS / time_scale, TRIED_SECONDS / time_scale

    def lasts(self, clock: Clock) -> bool:
        """Return True if the market gave no usable answer a moment ago, and no process got one since."""
        return self._ago(self._file, clock) is not None

    def tries_after_doubt(self, clock: Clock) -> int:
        """Return how many tries a call gets after a doubt; 1 if it must stop. Counts the doubt for all callers."""
        if self.lasts(clock):
            return 1
        ago, doubts = self._ago(self._doubted, clock), 0
        if ago is None:
            self._note(self._doubted, clock)
        with suppress(OSError), self._doubted.open("a+") as file:  # a line for each doubt after the moment of the first
            file.write("\n")
            file.seek(0)
            doubts = file.read().count("\n")
        return 1 if doubts >= ATTEMPTS and (ago or 0.0) >= self._tried else ATTEMPTS

    @contextmanager
    def noticing(self, clock: Clock) -> Iterator[None]:
        """Note the outcome of a call. A refusal by the market counts as an answer."""
        try:
            yield
        except OutcomeUnknown:
            self._note(self._file, clock)
            raise
        except VastError:
            self._over()
            raise
        self._over()

    def _over(self) -> None:
        for file in (self._file, self._doubted):
            with suppress(OSError):
                file.unlink(missing_ok=True)

    def _ago(self, file: Path, clock: Clock) -> float | None:
        """Return the seconds since a note, or None if there is none of this boot and of late."""
        try:
            ago = clock.monotonic() - float(file.read_text())
        except (OSError, ValueError):
            return None
        return ago if 0 <= ago <= self._remembered else None

    def _note(self, file: Path, clock: Clock) -> None:
        with suppress(OSError):  # without a note the other callers only try more often
            file.write_text(repr(clock.monotonic()))
