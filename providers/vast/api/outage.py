"""Notice an outage of the market once for all processes of this computer.

A caller without a usable answer retries for half a minute before it reports an outage. If each of fifty callers did so
in turn, the last would report it half an hour later. So the first caller leaves a note, and while the note holds every
caller tries once.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bootstrap.clock import Clock
from providers.vast.api.errors import OutcomeUnknown, VastError
from providers.vast.api.retry import ATTEMPTS

REMEMBERED_SECONDS = 60.0  # market seconds after the last call without an answer


class Outage:
    """The outage note of one account, in its private folder; see `account_directory`."""

    def __init__(self, folder: Path, time_scale: float = 1.0) -> None:
        self._file = folder / "outage"
        self._remembered = REMEMBERED_SECONDS / time_scale

    def lasts(self, clock: Clock) -> bool:
        """Return True if the market gave no usable answer a moment ago, and no process got one since."""
        try:
            ago = clock.monotonic() - float(self._file.read_text())
        except (OSError, ValueError):
            return False
        return 0 <= ago <= self._remembered

    @contextmanager
    def noticing(self, clock: Clock) -> Iterator[int]:
        """Yield the number of tries for a call, and note its outcome. A refusal by the market counts as an answer."""
        try:
            yield 1 if self.lasts(clock) else ATTEMPTS
        except OutcomeUnknown:
            with suppress(OSError):  # without a note the other callers only try more often
                self._file.write_text(repr(clock.monotonic()))
            raise
        except VastError:
            self._over()
            raise
        self._over()

    def _over(self) -> None:
        with suppress(OSError):
            self._file.unlink(missing_ok=True)
