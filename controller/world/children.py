"""Run the processes of Pulumi's CLI so that none outlives the controller, however that ends.

The kernel kills each with the thread that started it, if `setpriv` is installed; its own children notice that the engine has
gone. At an orderly end each is asked to stop first, so that it gives up the lock of its stack.
"""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from controller.pulumi_cli import Finished, Line, run_command, started

POLL_SECONDS = 0.1
ENDED = Finished(130, "", "the controller ends, so this command was stopped")


class _Ending(Exception):
    """The controller ends, so that no further command starts."""


class Children:
    """All commands of one controller process. `run` has the form of `controller.pulumi_cli.Command`."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._ends = False

    def run(self, words: Sequence[str], folder: Path, environment: Mapping[str, str], on_line: Line) -> Finished:
        """Run `pulumi WORDS` in a folder; `on_line` gets each line of stdout at once."""
        try:
            return run_command(words, folder, environment, on_line, self._tied)
        except _Ending:
            return ENDED

    def end(self, seconds: float) -> None:
        """Ask all processes to stop, and kill after so many seconds those that have not. No further one starts."""
        with self._guard:
            self._ends = True
            running = list(self._running)
        for process in running:
            _kill(process, signal.SIGTERM)
        until = time.monotonic() + seconds
        while any(process.poll() is None for process in running) and time.monotonic() < until:
            time.sleep(POLL_SECONDS)
        for process in running:
            _kill(process, signal.SIGKILL)

    @contextmanager
    def _tied(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], complaints: int
    ) -> Iterator[subprocess.Popen[str]]:
        """Start a process that ends with this one. Raises _Ending once the controller ends."""
        with ExitStack() as stack:
            with self._guard:
                if self._ends:
                    raise _Ending
                process = stack.enter_context(started([*_dying(), *command], folder, environment, complaints))
                self._running.add(process)
            try:
                yield process
            finally:
                _kill(process, signal.SIGKILL)
                with self._guard:
                    self._running.discard(process)


def _dying() -> list[str]:
    """Return the words before a command that has the kernel end it with its parent."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def _kill(process: subprocess.Popen[str], what: signal.Signals) -> None:
    """Signal a process and all that it started in its group; one that has ended is left alone."""
    if process.poll() is None:
        os.killpg(process.pid, what)
