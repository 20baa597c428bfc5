"""Slot processes in threads: so many boots at once, ends beside them, and a failure that stays with its process."""

import threading
from collections.abc import Callable

import pytest

from controller.ports import Pause, RunEnd, SlotId, Steps
from controller.slots import Slot, SlotEvent
from controller.world.drive import Ending, Threads, ThreadTask, drive
from tests.doubles.clock import FakeClock

SECONDS = 10.0
RUN_END = RunEnd(SlotEvent.SERVED, Slot(0), 0.4, ())


def place(index: int) -> SlotId:
    return SlotId("burst", index)


def until_done(*tasks: ThreadTask) -> None:
    for task in tasks:
        assert task.wait(SECONDS)


def blocked(began: threading.Event, go: threading.Event) -> Steps[RunEnd | None]:
    began.set()
    assert go.wait(SECONDS)
    yield Pause()
    return RUN_END


def test_steps_are_waited_for_and_their_result_is_returned() -> None:
    def steps() -> Steps[str]:
        yield Pause(1.5)
        yield Pause()
        return "done"

    clock = FakeClock()

    assert drive(steps(), clock.sleep) == "done"
    assert clock.slept == [1.5]


def test_an_end_during_a_pause_gives_up_locks() -> None:
    closed = []

    def steps() -> Steps[None]:
        try:
            yield Pause(1.0)
        finally:
            closed.append("lock")

    def ends(_seconds: float) -> None:
        raise Ending

    with pytest.raises(Ending):
        drive(steps(), ends)
    assert closed == ["lock"]


def test_few_boots_run_at_once_and_an_end_waits_for_none() -> None:
    go = threading.Event()
    began = [threading.Event() for _ in range(4)]
    threads = Threads(lambda _seconds: None, 2, lambda *_: None)
    boots = [threads.start(place(index), blocked(began[index], go), boots=True) for index in range(3)]
    assert began[0].wait(SECONDS)
    assert began[1].wait(SECONDS)

    end = threads.start(place(3), blocked(began[3], go), boots=False)

    assert began[3].wait(SECONDS)
    assert not began[2].is_set()
    go.set()
    until_done(*boots, end)
    assert [task.run_end for task in (*boots, end)] == [RUN_END] * 4


@pytest.mark.parametrize(("error", "told"), [(RuntimeError("no"), ["slot 0 of burst: no"]), (Ending(), [])])
def test_a_process_that_fails_tells_nothing_but_its_failure(error: Exception, told: list[str]) -> None:
    def steps() -> Steps[RunEnd | None]:
        yield Pause()
        raise error

    failures: list[str] = []
    ended: list[int] = []
    say: Callable[[str, Exception], None] = lambda what, error: failures.append(f"{what}: {error}")  # noqa: E731
    threads = Threads(lambda _seconds: None, 1, say, lambda: ended.append(1))

    task = threads.start(place(0), steps(), boots=True)

    until_done(task)
    assert (task.run_end, failures, ended) == (None, told, [])


def test_a_process_that_tells_something_wakes_the_loop() -> None:
    def steps() -> Steps[RunEnd | None]:
        yield Pause()
        return RUN_END

    woken = threading.Event()
    threads = Threads(lambda _seconds: None, 1, lambda *_: None, woken.set)

    threads.start(place(0), steps(), boots=True)

    assert woken.wait(SECONDS)
