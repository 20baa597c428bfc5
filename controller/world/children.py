"""Run the processes of Pulumi's CLI so that none outlives the controller, however that ends.

The kernel kills each with the thread that started it, if `setpriv` is installed; its own children notice that the engine has
gone. At an orderly end each is asked to stop first, so that it gives up the lock of its stack.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from controller.pulumi_cli import Finished, Line

POLL_SECONDS = 0.1
ENDED = Finished(130, "", "the controller ends, so this command was stopped")


class Children:
    """All commands of one controller process. `run` has the form of `controller.pulumi_cli.Command`."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._ends = False

    def run(self, words: Sequence[str], folder: Path, environment: Mapping[str, str], on_line: Line) -> Finished:
        """Run `pulumi WORDS` in a folder; `on_line` gets each line of stdout at once."""
        command = [*_tied(), "pulumi", "--non-interactive", *words]
        lines = []
        try:
            with tempfile.TemporaryFile("w+") as complaints:
                process = self._start(command, folder, environment, complaints.fileno())
                if process is None:
                    return ENDED
                try:
                    assert process.stdout is not None
                    for line in process.stdout:
                        lines.append(line)
                        on_line(line)
                    status = process.wait()
                finally:
                    _kill(process, signal.SIGKILL)
                    with self._guard:
                        self._running.discard(process)
                complaints.seek(0)
                return Finished(status, "".join(lines), complaints.read())
        except OSError as error:
            return Finished(127, "", f"`pulumi` cannot be started: {error.strerror}")

    def end(self, seconds: float) -> None:
        """Ask all to stop, and kill after so many seconds what has not. No further one starts."""
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

    def _start(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], complaints: int
    ) -> subprocess.Popen[str] | None:
        with self._guard:
            if self._ends:
                return None
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                start_new_session=True,
            )
            self._running.add(process)
            return process


def _tied() -> list[str]:
    """Return the words before a command that has the kernel end it with its parent."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def _kill(process: subprocess.Popen[str], what: signal.Signals) -> None:
    """Signal a process and all that it started in its group; one that has ended is left alone."""
    if process.poll() is None:
        os.killpg(process.pid, what)
