"""Notice that the engine is gone, so that a create without an engine gives back its instance.

`kill -9` of `pulumi up` leaves the provider process running, with a new parent, in the middle of a create. No state
will ever record that create. Two signs show this. First, the engine's gRPC address (the last word of this process's
argv) refuses two connections half a second apart. Second, the engine or a process between us and the engine has ended.
The direct parent alone is no sign: the official launcher is a shell in between that outlives the engine.

The second Ctrl-C is a third sign. The engine then sends SIGINT to the process group of each plugin, and SIGKILL after
5 s. The SIGINT ends the SDK's main thread, which then waits for the working threads. These learn it from `interrupted`.
"""

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bootstrap.clock import Clock, SystemClock

SLICE_SECONDS = 0.5
REFUSALS = 2


class EngineGone(Exception):
    """The engine that asked for this work no longer exists, so no engine receives the result."""


class RentingClock(Clock, Protocol):
    """A clock whose waits raise EngineGone, except inside `patient`."""

    def confirm(self) -> None:
        """Check right now that the engine still waits for us. Raises EngineGone if not."""

    def without_engine(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which this thread's waits ignore a missing engine, so that it can give back."""


@dataclass(frozen=True)
class Process:
    """A process, told apart by its start time from a later one with the same number."""

    pid: int
    started: str

    def alive(self) -> bool:
        """Return True if the process still runs and is no zombie."""
        stat = _stat(self.pid)
        return stat is not None and stat[2] == self.started and stat[0] not in {"Z", "X"}


_TOLD_TO_END = threading.Event()


def interrupted() -> bool:
    """Return True if this process was told to end and only waits for its threads."""
    return _TOLD_TO_END.is_set()


def when_interrupted(act: Callable[[], None]) -> None:
    """Make `interrupted` True when Python begins to end this process, and call `act` then, in the main thread."""

    def end_process() -> None:
        _TOLD_TO_END.set()
        act()

    # Python calls the last registered function first, before it waits for the pool's threads (perhaps for minutes).
    if register := getattr(threading, "_register_atexit", None):
        with contextlib.suppress(RuntimeError):  # the end has begun already
            register(end_process)


class EngineWatch:
    """Checks whether the engine is still there.

    `address` is host:port, or None without an engine to ask. `told_to_end` returns True after the second Ctrl-C.
    """

    def __init__(
        self, address: str | None, between: tuple[Process, ...], told_to_end: Callable[[], bool] = interrupted
    ) -> None:
        self._address = address
        self._between = between
        self._told_to_end = told_to_end
        self._lock = threading.Lock()
        self._refused = 0
        self._looked = float("-inf")
        self._gone = False

    @classmethod
    def of_this_process(cls) -> "EngineWatch":
        """Return a watch of the engine that started this provider process."""
        word = sys.argv[-1] if len(sys.argv) > 1 else ""
        host, _, port = word.rpartition(":")
        return cls(word if host and port.isdigit() else None, engine_and_between(os.getpid()))

    def gone(self) -> bool:
        """Return True if the engine is gone. Looks twice a second at most, no matter how often callers ask.

        True from the second refused connection on, as soon as an ancestor is missing, or at once after the second
        Ctrl-C.
        """
        if self._told_to_end():
            return True
        with self._lock:
            if not self._gone and time.monotonic() - self._looked >= SLICE_SECONDS:
                self._looked = time.monotonic()
                self._refused = self._refused + 1 if self._refuses() else 0
                self._gone = self._refused >= REFUSALS or not all(process.alive() for process in self._between)
            return self._gone

    def missed(self) -> bool:
        """Look once, right now. True is a reason to look again, because one refusal may be an accident."""
        return self._told_to_end() or self._refuses() or not all(process.alive() for process in self._between)

    def why(self) -> str:
        """Return in words why no engine waits. Call it only if `gone` was True, or `missed` twice."""
        return (
            "this command was interrupted" if self._told_to_end() else "the Pulumi engine that asked for this has gone"
        )

    def _refuses(self) -> bool:
        if self._address is None:
            return False
        host, _, port = self._address.rpartition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=SLICE_SECONDS):
                return False
        except ConnectionRefusedError:
            return True
        except OSError:
            return False  # a slow engine is not gone


class UnwatchedClock(SystemClock):
    """The system's clock for commands without an engine: their waits have no reason to end early."""

    def confirm(self) -> None:
        """Return at once."""

    def without_engine(self) -> contextlib.AbstractContextManager[None]:
        """Return a context that changes nothing."""
        return contextlib.nullcontext()


class WatchedClock(SystemClock):
    """The system's clock, with waits cut into slices. A wait raises EngineGone once the watch says so."""

    def __init__(self, watch: EngineWatch) -> None:
        self._watch = watch
        self._thread = threading.local()

    def sleep(self, seconds: float) -> None:
        """Wait. Raises EngineGone, within a second, if the engine is gone."""
        end = self.monotonic() + seconds
        while True:
            if not getattr(self._thread, "patient", False) and self._watch.gone():
                raise EngineGone(self._watch.why())
            left = end - self.monotonic()
            if left <= 0:
                return
            super().sleep(min(SLICE_SECONDS, left))

    def confirm(self) -> None:
        """Return if the engine is there; otherwise raise EngineGone, after half a second."""
        for _look in range(REFUSALS):
            if not self._watch.missed():
                return
            super().sleep(SLICE_SECONDS)
        raise EngineGone(self._watch.why())

    @contextlib.contextmanager
    def without_engine(self) -> Iterator[None]:
        """Let this thread's waits ignore a missing engine while the block lasts."""
        before = getattr(self._thread, "patient", False)
        self._thread.patient = True
        try:
            yield
        finally:
            self._thread.patient = before


_BUSY: list[Callable[[], bool]] = []


def end_with_engine(watch: EngineWatch, busy: Callable[[], bool]) -> None:
    """End this process once its engine is gone and no provider in it is busy.

    Otherwise provider processes would outlive a killed engine for good, because nothing else tells them to end. Several
    providers may live in one process; it ends when all of them are idle.
    """
    _BUSY.append(busy)
    if len(_BUSY) == 1:
        threading.Thread(target=_end_when_idle, args=(watch,), daemon=True).start()


def _end_when_idle(watch: EngineWatch) -> None:
    clock = SystemClock()
    while not watch.gone() or any(busy() for busy in _BUSY):
        clock.sleep(2 * SLICE_SECONDS)
    os._exit(1)


def this_process() -> Process | None:
    """Return this process, or None without /proc."""
    stat = _stat(os.getpid())
    return Process(os.getpid(), stat[2]) if stat else None


def engine_and_between(pid: int) -> tuple[Process, ...]:
    """Return our ancestors up to the engine; only the parent if no ancestor is an engine; none without /proc.

    Processes above the engine (a shell, a terminal, CI) may end while the engine works on.
    """
    chain: list[Process] = []
    stat = _stat(pid)
    while stat is not None and int(stat[1]) > 1:
        parent = int(stat[1])
        stat = _stat(parent)
        if stat is None:
            break
        chain.append(Process(parent, stat[2]))
        if _name(parent) == "pulumi":
            return tuple(chain)
    return tuple(chain[:1])


def ancestors(pid: int) -> list[int]:
    """Return the ancestors of a process, its parent first, without the system's first process."""
    found: list[int] = []
    stat = _stat(pid)
    while stat is not None and int(stat[1]) > 1:
        found.append(int(stat[1]))
        stat = _stat(found[-1])
    return found


def _stat(pid: int) -> tuple[str, str, str] | None:
    # Fields 3, 4 and 22 of /proc/PID/stat: state, parent, start time. The name before them may contain blanks.
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], fields[1], fields[19]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
