"""Waves: of a fleet that serves, only so many instances are changed or replaced at once, and a failure stops the rest.

The engine asks for everything at once, so the calls wait here. They share one file an engine, because a replacement may
be two calls in two processes: the machine goes in the first, and its successor serves at the end of the second. Creating
waits for nobody. A board whose engine has gone is of no use to anybody; it is removed after some days.
"""

import fcntl
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from bootstrap.cache import cache_folder
from bootstrap.clock import Clock
from providers.engine_watch import EngineGone, Process, engine_and_between, this_process
from providers.vast.rollout import Board, RolloutStoppedError
from providers.vast.settings import InstanceSettings

LOOK_SECONDS = 0.25
KEPT_SECONDS = 3 * 86_400.0

Say = Callable[[str, str], None]


class Waves:
    """The waves of the update that this process works for. `file` is shared by all processes of one engine."""

    def __init__(self, file: Path, clock: Clock, holder: str = "", alive: Callable[[str], bool] | None = None) -> None:
        self._file = file
        self._clock = clock
        self._holder = holder or _written(this_process())
        self._alive = alive or _is_alive
        self._interrupted = False
        self._waiting: set[str] = set()

    @classmethod
    def of_this_process(cls, clock: Clock) -> "Waves":
        """Return those of the engine that started this process."""
        between = engine_and_between(os.getpid())
        engine = f"{sys.argv[-1]} {_written(between[-1] if between else None)}"
        return cls(cache_folder() / "rollouts" / f"{hashlib.sha256(engine.encode()).hexdigest()[:16]}.json", clock)

    def announce(self, settings: InstanceSettings, there: bool) -> None:
        """Note that the update has this instance in its config; `there`: the state has it."""
        rollout = settings.rollout
        if rollout is None or settings.replicas == 1:
            return
        fleet = f"{settings.label.rpartition('/')[0]}/{rollout.fleet}"
        with self._board() as board:
            board.announce(fleet, settings.label, rollout.most_down, settings.replicas, there, self._clock.time())

    def interrupt(self) -> frozenset[str]:
        """Have everybody who waits in this process leave its instance as it is; return their names.

        After Ctrl-C the engine asks for no successor of what is given back. The board is left alone: an engine also ends
        processes that it has no more use for.
        """
        self._interrupted = True
        return frozenset(self._waiting)

    @contextmanager
    def changing(self, settings: InstanceSettings, say: Say, serves: bool = True) -> Iterator[None]:
        """Hold a place in the wave while an instance is changed; one that does not serve waits for nobody.

        Raises RolloutStoppedError, EngineGone.
        """
        self._enter(settings, say, waits=serves)
        with self._ending(settings):
            yield

    @contextmanager
    def replacing(self, settings: InstanceSettings, say: Say, serves: bool) -> Iterator[None]:
        """Hold a place from here, where a machine goes, until `creating` its successor ends.

        One that does not serve waits for nobody. Raises RolloutStoppedError, EngineGone.
        """
        self._enter(settings, say, waits=serves)
        with self._stopping(settings):
            yield
        with self._board() as board:
            board.given_back(settings.label, self._clock.time())

    @contextmanager
    def creating(self, settings: InstanceSettings, say: Say) -> Iterator[None]:
        """Count an instance as down while it is created; this waits for nobody."""
        self._enter(settings, say, waits=False)
        with self._ending(settings):
            yield

    @contextmanager
    def _ending(self, settings: InstanceSettings) -> Iterator[None]:
        with self._stopping(settings):
            yield
        with self._board() as board:
            board.leave(settings.label)

    @contextmanager
    def _stopping(self, settings: InstanceSettings) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            if not isinstance(error, EngineGone):
                with self._board() as board:
                    board.stop(settings.label, str(error))
            raise

    def _enter(self, settings: InstanceSettings, say: Say, waits: bool = True) -> None:
        self._waiting.add(settings.name)
        try:
            self._wait(settings, say, waits)
        except RolloutStoppedError as stopped:
            raise RolloutStoppedError(_left_out(settings.name, str(stopped))) from None
        finally:
            self._waiting.discard(settings.name)

    def _wait(self, settings: InstanceSettings, say: Say, waits: bool) -> None:
        told: list[str] = []
        while True:
            if self._interrupted and waits:
                raise RolloutStoppedError("the update was interrupted")
            with self._board() as board:
                others = board.enter(settings.label, self._holder, self._clock.time(), self._alive, waits)
            if others is None:
                return
            if others and not told:
                told = [label.rpartition("/")[2] for label in others]
                say("wave", f"waits until {' or '.join(told)} serves again: no more may be down at once")
            self._clock.sleep(LOOK_SECONDS)

    @contextmanager
    def _board(self) -> Iterator[Board]:
        """Give the board, for this process alone; what is changed of it is kept."""
        if not self._file.parent.is_dir():
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._file.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            before = file.read()
            board = _read(before)
            if not before:
                _remove_old(self._file.parent)
            try:
                yield board
            finally:
                after = board.model_dump_json()
                if after != before:
                    file.seek(0)
                    file.truncate()
                    file.write(after)


def _left_out(name: str, stopped: str) -> str:
    return (
        f"{name}: it is left as it is, because {stopped}, and the next wave begins only when the last one serves. When what "
        "stands in its way is mended, run `pulumi up`: it goes on with what is left. To go back, undo the edit and run "
        "`pulumi up`."
    )


def _read(text: str) -> Board:
    try:
        return Board.model_validate_json(text)
    except ValidationError:
        return Board()


def _remove_old(folder: Path) -> None:
    for file in folder.glob("*.json"):
        with suppress(OSError):
            if time.time() - file.stat().st_mtime > KEPT_SECONDS:
                file.unlink()


def _written(process: Process | None) -> str:
    return f"{process.pid} {process.started}" if process else ""


def _is_alive(holder: str) -> bool:
    pid, _, started = holder.partition(" ")
    return not pid or Process(int(pid), started).alive()  # without /proc nobody can tell
