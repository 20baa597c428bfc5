"""A provider whose create holds something until somebody ends it, and gives it back when nobody waits any more."""

import os
from pathlib import Path
from typing import Any

from pulumi.dynamic import ConfigureRequest, CreateResult, ResourceProvider

from bootstrap.clock import SystemClock
from providers.engine_watch import EngineGone, EngineWatch, WatchedClock
from providers.progress import print_progress
from providers.provider_process import on_cancel, take_over
from providers.vast.in_flight import InFlight


class RentingProvider(ResourceProvider):
    """`folder` of its properties: `began` is written at once; the group of this process when it gives back, in `group`."""

    def configure(self, _req: ConfigureRequest) -> None:
        """Take the process over, as our providers do."""
        watch = EngineWatch.of_this_process()
        self._clock = WatchedClock(watch)
        self._in_flight = InFlight(SystemClock())
        take_over(watch, self._in_flight.busy)
        on_cancel(self._in_flight.report_what_is_finished)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Wait for as long as it takes."""
        folder = Path(str(props["folder"]))
        with self._in_flight.work("chat-0", "create"):
            (folder / "began").touch()
            try:
                self._clock.sleep(600)
            except EngineGone as gone:
                (folder / "group").write_text(str(os.getpgid(0)))
                print_progress(f"given back: {gone}")
                raise
        return CreateResult("held", dict(props))
