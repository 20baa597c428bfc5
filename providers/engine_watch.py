"""Notice that the engine is gone, so that a create without an audience gives back what it holds.

`kill -9` of `pulumi up` leaves the provider process running, re-parented, in the middle of a create that no state will
ever record. Two signs say so: the engine's gRPC address (the last word of this process's argv) refuses two connections
half a second apart, or a process between us and the engine, the engine included, has gone. The parent alone is no sign:
the official launcher is a shell that stays in between and outlives the engine.

The second Ctrl-C is a third sign: the engine then sends SIGINT to the process group of each plugin, and SIGKILL after 5 s.
The SDK's main thread ends by the SIGINT, and then waits for the threads that work; these hear of it by `interrupted`.
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
    """The engine that asked for this work no longer exists; nobody will hear of its result."""


class RentingClock(Clock, Protocol):
    """A clock whose waits raise EngineGone, except while it is being patient."""

    def confirm(self) -> None:
        """Return where somebody still waits for us, right now; raises EngineGone."""

    def patient(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which this thread's waits go on without an engine: the way to give back."""


@dataclass(frozen=True)
class Process:
    """A process that cannot be confused with a later one of the same number."""

    pid: int
    started: str

    def alive(self) -> bool:
        """Say whether it is still there and not merely waiting to be reaped."""
        stat = _stat(self.pid)
        return stat is not None and stat[2] == self.started and stat[0] not in {"Z", "X"}


_TOLD_TO_END = threading.Event()


def interrupted() -> bool:
    """Say whether this process has been told to end, and only waits for its threads."""
    return _TOLD_TO_END.is_set()


def when_interrupted(act: Callable[[], None]) -> None:
    """Have `interrupted` know when Python begins to end this process, and `act` called then, in the main thread."""

    def told() -> None:
        _TOLD_TO_END.set()
        act()

    # Python calls what was registered last first: before it waits for the pool's threads, which may take minutes.
    if register := getattr(threading, "_register_atexit", None):
        with contextlib.suppress(RuntimeError):  # it has begun already
            register(told)


class EngineWatch:
    """Looks whether the engine is still there. `address` is host:port, None where there is none to ask; `told_to_end` says
    whether this process got the second Ctrl-C.
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
        """Watch the engine that started this provider process."""
        word = sys.argv[-1] if len(sys.argv) > 1 else ""
        host, _, port = word.rpartition(":")
        return cls(word if host and port.isdigit() else None, engine_and_between(os.getpid()))

    def gone(self) -> bool:
        """Look, twice a second at most however often it is asked.

        True from the second refused connection on, or from the moment when an ancestor is missing, or at once after the
        second Ctrl-C.
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
        """Look right now, once: True is a reason to look again, because one refusal may be an accident."""
        return self._told_to_end() or self._refuses() or not all(process.alive() for process in self._between)

    def why(self) -> str:
        """Say in words why nobody waits any more; only where `gone` or twice `missed`."""
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
            return False  # slow is not gone


class UnwatchedClock(SystemClock):
    """The system's clock for commands that no engine has asked for: their waits end when they end."""

    def confirm(self) -> None:
        """Return."""

    def patient(self) -> contextlib.AbstractContextManager[None]:
        """Return a context that changes nothing."""
        return contextlib.nullcontext()


class WatchedClock(SystemClock):
    """The system's clock; its waits are cut into slices, and raise EngineGone once the watch says so."""

    def __init__(self, watch: EngineWatch) -> None:
        self._watch = watch
        self._thread = threading.local()

    def sleep(self, seconds: float) -> None:
        """Wait; raises EngineGone, within a second, where nobody waits for us any more."""
        end = self.monotonic() + seconds
        while True:
            if not getattr(self._thread, "patient", False) and self._watch.gone():
                raise EngineGone(self._watch.why())
            left = end - self.monotonic()
            if left <= 0:
                return
            super().sleep(min(SLICE_SECONDS, left))

    def confirm(self) -> None:
        """Return where the engine is there; otherwise raise EngineGone, after half a second."""
        for _look in range(REFUSALS):
            if not self._watch.missed():
                return
            super().sleep(SLICE_SECONDS)
        raise EngineGone(self._watch.why())

    @contextlib.contextmanager
    def patient(self) -> Iterator[None]:
        """Let this thread's waits go on without an engine."""
        before = getattr(self._thread, "patient", False)
        self._thread.patient = True
        try:
            yield
        finally:
            self._thread.patient = before


_BUSY: list[Callable[[], bool]] = []


def end_with_engine(watch: EngineWatch, busy: Callable[[], bool]) -> None:
    """End this process once its engine has gone and nobody in it is busy any more.

    Otherwise provider processes outlive a killed engine for good: nothing else tells them. Several providers may live in
    one process; it ends when all of them are idle.
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
    """Return this process; None without /proc."""
    stat = _stat(os.getpid())
    return Process(os.getpid(), stat[2]) if stat else None


def engine_and_between(pid: int) -> tuple[Process, ...]:
    """Return our ancestors up to the engine; only the parent where none of them is an engine; none without /proc.

    What lies above the engine (a shell, a terminal, CI) may go away while the engine works on.
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
    """Return the processes above one, its parent first, without the first process of the system."""
    found: list[int] = []
    stat = _stat(pid)
    while stat is not None and int(stat[1]) > 1:
        found.append(int(stat[1]))
        stat = _stat(found[-1])
    return found


def _stat(pid: int) -> tuple[str, str, str] | None:
    # Fields 3, 4 and 22 of /proc/PID/stat: state, parent, start time; the name before them may hold blanks.
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
