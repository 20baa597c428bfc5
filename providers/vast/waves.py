"""Limit how many instances of a serving fleet change at once, and stop the rest after a failure.

The engine starts every call at once, so the calls wait here. They share one file an engine, because a replacement may
be two calls in two processes. The first call gives the machine back; the second brings its successor online. A create
never waits. A board whose engine is gone has no use; it is removed after some days.

On a full disk, this module begins no change that the board would have to hold. Changes under way continue, and their
end is owed: it is written with the next change that this process can write.
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
from bootstrap.services import Progress
from providers.engine_watch import EngineGone, Process, engine_and_between, this_process
from providers.vast.rollout import Board, RolloutStoppedError
from providers.vast.settings import InstanceSettings

LOOK_SECONDS = 0.25
KEPT_SECONDS = 3 * 86_400.0


class Waves:
    """Waves of the update that this process works for. `file` is shared by all processes of one engine."""

    def __init__(self, file: Path, clock: Clock, holder: str = "", alive: Callable[[str], bool] | None = None) -> None:
        self._file = file
        self._clock = clock
        self._holder = holder or _written(this_process())
        self._alive = alive or _is_alive
        self._interrupted = False
        self._waiting: set[str] = set()
        self._owed: list[Callable[[Board], None]] = []
        self._is_reported = False

    @classmethod
    def of_this_process(cls, clock: Clock) -> "Waves":
        """Return the waves of the engine that started this process."""
        between = engine_and_between(os.getpid())
        engine = f"{sys.argv[-1]} {_written(between[-1] if between else None)}"
        return cls(cache_folder() / "rollouts" / f"{hashlib.sha256(engine.encode()).hexdigest()[:16]}.json", clock)

    def announce(self, settings: InstanceSettings, there: bool) -> None:
        """Record that the update has this instance in its config; `there`: the state has it.

        Raises RolloutStoppedError if the board cannot be written.
        """
        rollout = settings.rollout
        if rollout is None or settings.replicas == 1:
            return
        fleet = f"{settings.label.rpartition('/')[0]}/{rollout.fleet}"
        try:
            with self._board() as board:
                board.announce(fleet, settings.label, rollout.most_down, settings.replicas, there, self._clock.time())
        except OSError as error:
            raise RolloutStoppedError(_not_announced(settings.name, self._file.parent, error)) from None

    def interrupt(self) -> frozenset[str]:
        """Let every waiting call of this process leave its instance as it is; return the names of these instances.

        After Ctrl-C the engine requests no successor of an instance that is given back. The board is left alone,
        because an engine also ends processes that it needs no longer.
        """
        self._interrupted = True
        return frozenset(self._waiting)

    @contextmanager
    def changing(self, settings: InstanceSettings, report_progress: Progress, serves: bool = True) -> Iterator[None]:
        """Hold a place in the wave while an instance is changed. An instance that does not serve never waits.

        Raises RolloutStoppedError, EngineGone.
        """
        self._enter(settings, report_progress, waits=serves)
        with self._ending(settings, report_progress):
            yield

    @contextmanager
    def replacing(self, settings: InstanceSettings, report_progress: Progress, serves: bool) -> Iterator[None]:
        """Hold a place from the end of a machine until `creating` its successor ends.

        An instance that does not serve never waits. Raises RolloutStoppedError, EngineGone.
        """
        self._enter(settings, report_progress, waits=serves)
        with self._stopping(settings, report_progress):
            yield
        now = self._clock.time()
        self._note(settings.label, lambda board: board.given_back(settings.label, now), report_progress)

    @contextmanager
    def creating(self, settings: InstanceSettings, report_progress: Progress) -> Iterator[None]:
        """Count an instance as down while it is created, without waiting."""
        self._enter(settings, report_progress, waits=False)
        with self._ending(settings, report_progress):
            yield

    @contextmanager
    def _ending(self, settings: InstanceSettings, report_progress: Progress) -> Iterator[None]:
        with self._stopping(settings, report_progress):
            yield
        self._note(settings.label, lambda board: board.leave(settings.label), report_progress)

    @contextmanager
    def _stopping(self, settings: InstanceSettings, report_progress: Progress) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            if not isinstance(error, EngineGone):
                reason = str(error)
                self._note(settings.label, lambda board: board.stop(settings.label, reason), report_progress)
            raise

    def _note(self, label: str, change: Callable[[Board], None], report_progress: Progress) -> None:
        """Record a finished change. The change has happened, so a full disk is no error; it is reported once."""
        self._owed.append(change)
        try:
            with self._board():
                pass
        except OSError as error:
            if not self._is_reported and not self._is_unannounced(label):
                self._is_reported = True
                report_progress("wave", _not_noted(error))

    def _enter(self, settings: InstanceSettings, report_progress: Progress, waits: bool = True) -> None:
        self._waiting.add(settings.name)
        try:
            self._wait(settings, report_progress, waits)
        except RolloutStoppedError as stopped:
            raise RolloutStoppedError(_left_out(settings.name, str(stopped))) from None
        finally:
            self._waiting.discard(settings.name)

    def _wait(self, settings: InstanceSettings, report_progress: Progress, waits: bool) -> None:
        named: list[str] = []
        while True:
            if self._interrupted and waits:
                raise RolloutStoppedError("the update was interrupted")
            try:
                with self._board() as board:
                    others = board.enter(settings.label, self._holder, self._clock.time(), self._alive, waits)
            except OSError as error:
                if self._is_unannounced(settings.label):
                    return
                raise RolloutStoppedError(f"the board of the waves cannot be written ({error})") from None
            if others is None:
                return
            if others and not named:
                named = [label.rpartition("/")[2] for label in others]
                report_progress("wave", f"waits until {' or '.join(named)} serves again: no more may be down at once")
            self._clock.sleep(LOOK_SECONDS)

    def _is_unannounced(self, label: str) -> bool:
        """Return, without a lock, whether an instance is on no board, so that it never waits.

        A destroy announces no instance.
        """
        try:
            return _read(self._file.read_bytes()).fleet_of(label) is None
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False

    @contextmanager
    def _board(self) -> Iterator[Board]:
        """Yield the board for this process alone, and store its changes. Raises OSError."""
        if not self._file.parent.is_dir():
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self._file.read_bytes() if self._file.exists() else b""
            board, owed = _read(before), list(self._owed)
            if not before:
                _remove_old(self._file.parent)
            for change in owed:
                change(board)
            try:
                yield board
            except BaseException:
                with suppress(OSError):
                    self._keep(board, before, len(owed))
                raise
            self._keep(board, before, len(owed))

    def _keep(self, board: Board, before: bytes, owed: int) -> None:
        """Write the board whole or not at all. A board that lost its places would let all instances go down at once."""
        if board != _read(before):  # a comparison of texts would fail, because sets are written in any order
            part = self._file.with_suffix(".part")
            part.write_text(board.model_dump_json())
            part.replace(self._file)
        del self._owed[:owed]


def _not_announced(name: str, folder: Path, error: OSError) -> str:
    return (
        f"{name}: {folder} cannot hold the board of the waves ({error}). Nothing was changed. Make room there, or set "
        "XDG_CACHE_HOME to a folder with room, and run the command again."
    )


def _not_noted(error: OSError) -> str:
    return (
        f"the board of the waves cannot be written ({error}); what is done stays done. If others go on waiting, press "
        "Ctrl-C, make room, and run `pulumi up`: it goes on with what is left"
    )


def _left_out(name: str, stopped: str) -> str:
    return (
        f"{name}: it is left as it is, because {stopped}, and the next wave begins only when the last one serves. When what "
        "stands in its way is mended, run `pulumi up`: it goes on with what is left. To go back, undo the edit and run "
        "`pulumi up`."
    )


def _read(text: bytes) -> Board:
    try:
        return Board.model_validate_json(text)
    except ValidationError:
        return Board()


def _remove_old(folder: Path) -> None:
    for file in folder.iterdir():
        with suppress(OSError):
            if time.time() - file.stat().st_mtime > KEPT_SECONDS:
                file.unlink()


def _written(process: Process | None) -> str:
    return f"{process.pid} {process.started}" if process else ""


def _is_alive(holder: str) -> bool:
    pid, _, started = holder.partition(" ")
    return not pid or Process(int(pid), started).alive()  # without /proc, no process can tell
