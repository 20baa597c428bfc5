"""Track the calls that a provider process runs.

The process ends only if no call runs. After the first Ctrl-C it tells the operator which calls it finishes.
"""

import itertools
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bootstrap.clock import Clock
from providers.progress import print_progress
from providers.vast.search import start_time
from providers.vast.settings import GB, InstanceSettings

START_SECONDS = 180.0  # from complete weights to the first answer; vLLM takes most of it
UNDONE = {
    "create": "^C again gives it back",
    "update": "^C again leaves the change half done, and the next `pulumi up` goes on with it",
    "delete": "it is given back; ^C again does not stop that",
}


@dataclass
class Work:
    """One call of the engine. `does` is create, read, update or delete; `began` is in monotonic seconds."""

    name: str
    does: str
    began: float
    settings: InstanceSettings | None = None  # None until the call has read them


class InFlight:
    """Calls that run in this process; `report_progress` shows the operator a line."""

    def __init__(self, clock: Clock, report_progress: Callable[[str], None] = print_progress) -> None:
        self._clock = clock
        self._report_progress = report_progress
        self._numbers = itertools.count()
        self._works: dict[int, Work] = {}
        self._is_reported = False
        self._lock = threading.Lock()

    def busy(self) -> bool:
        """Return whether a call runs."""
        return bool(self._works)

    @contextmanager
    def work(self, name: str, does: str) -> Iterator[Work]:
        """Count a call while the block lasts."""
        number, work = next(self._numbers), Work(name, does, self._clock.monotonic())
        with self._lock:
            self._works[number] = work
        try:
            yield work
        finally:
            with self._lock:
                del self._works[number]

    def report_what_is_finished(self, left_out: Collection[str] = ()) -> None:
        """Report for each call its remaining time and the effect of a second Ctrl-C.

        Reports once only, because the engine asks again. `left_out` names instances whose calls end by themselves and
        change nothing.
        """
        with self._lock:
            works, was_reported = list(self._works.values()), self._is_reported
            self._is_reported = was_reported or bool(works)
        for work in [] if was_reported else works:
            if (undone := UNDONE.get(work.does)) and work.name not in left_out:
                self._report_progress(f"{work.name}  finishing  {_left(work, self._clock.monotonic())}{undone}")


def _left(work: Work, now: float) -> str:
    if work.does != "create" or work.settings is None:
        return ""
    left = expected_seconds(work.settings) + work.began - now
    if left > 0:
        return f"about {_minutes(left)} until it serves; "
    latest = work.settings.to_limits().total_seconds + work.began - now
    return f"it takes longer than usual, {_minutes(max(latest, 0))} at most; "


def expected_seconds(settings: InstanceSettings) -> float:
    """Return the usual seconds of a create: the image at the required download rate, the weights, and vLLM's start."""
    rate = settings.requirements.download_mbps or start_time.LEAST_LINE_MBPS
    pull = start_time.pull_seconds(start_time.image_gb(settings.server.image), rate) / settings.market.time_scale
    return pull + start_time.transfer_seconds(settings.start_cost.bytes / GB, rate) + START_SECONDS


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
