"""An outage of the market, noticed once for all processes of this computer.

Whoever finds that no usable answer comes tries for half a minute before it says so. If each of fifty did that, one after the
other, the last would learn it half an hour later. So the first leaves a note, and while it lies there a try is one call.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bootstrap.clock import Clock
from providers.vast.api.errors import OutcomeUnknown, VastError
from providers.vast.api.retry import ATTEMPTS

REMEMBERED_SECONDS = 60.0  # market seconds after the last call without an answer


class Outage:
    """The note of one account, in its private folder; see `meeting.meeting_place`."""

    def __init__(self, folder: Path, time_scale: float = 1.0) -> None:
        self._file = folder / "outage"
        self._remembered = REMEMBERED_SECONDS / time_scale

    def lasts(self, clock: Clock) -> bool:
        """Say whether the market gave no answer a moment ago, and none to anybody since."""
        try:
            ago = clock.monotonic() - float(self._file.read_text())
        except (OSError, ValueError):
            return False
        return 0 <= ago <= self._remembered

    @contextmanager
    def noticing(self, clock: Clock) -> Iterator[int]:
        """Give how often a call is tried, and note what becomes of it: whatever the market refuses, it answers."""
        try:
            yield 1 if self.lasts(clock) else ATTEMPTS
        except OutcomeUnknown:
            with suppress(OSError):  # a full disk changes how often we ask, not what for
                self._file.write_text(repr(clock.monotonic()))
            raise
        except VastError:
            self._over()
            raise
        self._over()

    def _over(self) -> None:
        with suppress(OSError):
            self._file.unlink(missing_ok=True)
