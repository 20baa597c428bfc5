"""Play the loop's steps for real: each pause is waited for, and slot processes run in threads of their own."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from controller.ports import RunEnd, SlotId, Steps, Value

Wait = Callable[[float], None]


class Ending(Exception):
    """The process ends, so that a wait is over before its time. Rows tell the next process which steps had begun."""


def drive(steps: Steps[Value], wait: Wait) -> Value:
    """Run steps to their end and return their value. `wait` waits so many seconds, and may raise to end them."""
    while True:
        try:
            pause = next(steps)
        except StopIteration as end:
            value: Value = end.value
            return value
        if pause.seconds > 0:
            try:
                wait(pause.seconds)
            except BaseException:
                steps.close()  # so that locks are given up
                raise


class ThreadTask:
    """One slot process in a thread."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._run_end: RunEnd | None = None

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._ended.is_set()

    @property
    def run_end(self) -> RunEnd | None:
        """The result of its steps; None before its end, or if they returned none."""
        return self._run_end

    def wait(self, seconds: float) -> bool:
        """Wait for its end, so long at most; say whether it has ended."""
        return self._ended.wait(seconds)

    def end(self, run_end: RunEnd | None) -> None:
        """Note its end."""
        self._run_end = run_end
        self._ended.set()


class Threads:
    """Satisfies `Tasks`. So many boots run at once; what ends a slot never waits for a boot.

    `failed` is told what went wrong in a slot process; its row then stays as it is, and a later tick tries again. `ended` is
    called at the end of each process that tells something. One that tells nothing does not wake the loop, which would try
    it again at once and for ever.
    """

    def __init__(
        self,
        wait: Wait,
        boots_at_once: int,
        failed: Callable[[str, Exception], None],
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self._wait, self._failed, self._ended = wait, failed, ended
        self._boots = threading.BoundedSemaphore(boots_at_once)

    def start(self, place: SlotId, steps: Steps[RunEnd | None], boots: bool) -> ThreadTask:
        """Start a slot process."""
        task = ThreadTask()
        room: AbstractContextManager[object] = self._boots if boots else nullcontext()
        name = f"slot {place.fleet} {place.slot}"
        threading.Thread(target=self._run, args=(task, place, steps, room), name=name, daemon=True).start()
        return task

    def _run(
        self, task: ThreadTask, place: SlotId, steps: Steps[RunEnd | None], room: AbstractContextManager[object]
    ) -> None:
        run_end = None
        try:
            with room:
                run_end = drive(steps, self._wait)
        except Ending:
            pass
        except Exception as error:  # noqa: BLE001 -- the row keeps the slot's state; the next tick starts another process
            self._failed(str(place), error)
        finally:
            task.end(run_end)
            if run_end is not None:
                self._ended()
