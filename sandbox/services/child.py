"""Runs a service's process that cannot outlive this one: the kernel kills it when this process ends, also by kill -9."""

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

TAIL_BYTES = 4000


class ServiceError(Exception):
    """A service of the sandbox that fails to start or to work. The message names the service, the cause and the next
    step.
    """


class Child:
    """One running process. Its output goes to `log`, which starts empty.

    The kernel's death signal follows the *thread* that started the process. So a thread of this class starts it and
    lives exactly as long as the child. A caller may start services from a thread that ends. Raises ServiceError if
    setpriv (util-linux) or the program is missing.
    """

    def __init__(self, program: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise ServiceError("The program setpriv is missing. Install Debian's package: apt-get install util-linux")
        self.log = log
        self._command = [setpriv, "--pdeathsig", "KILL", "--", program, *arguments]
        self._environment = {**os.environ, **environment}
        self._started = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._run, name=f"{Path(program).name} holder", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            raise ServiceError(f"{program} cannot be started: {self._failure.strerror}.") from self._failure

    @property
    def pid(self) -> int:
        """Return the program's process id: setpriv becomes the program."""
        return self._running.pid

    def status(self) -> int | None:
        """Return the exit status, negative for a signal, or None while it runs."""
        return self._running.poll()

    def stop(self, grace_seconds: float, asks: signal.Signals = signal.SIGTERM) -> None:
        """Ask the process to end, kill it after the grace, and return when it has ended. Stopping twice is harmless."""
        for number, patience in ((asks, grace_seconds), (signal.SIGKILL, None)):
            if self.status() is None:
                self._running.send_signal(number)
                self._thread.join(patience)

    def tail(self) -> str:
        """Return the end of its output."""
        try:
            return self.log.read_bytes()[-TAIL_BYTES:].decode(errors="replace")
        except OSError:
            return ""

    @property
    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise ServiceError(f"{self._command[4]} was never started.")
        return self._process

    def _run(self) -> None:
        try:
            with self.log.open("wb") as output:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    start_new_session=True,  # Ctrl-C reaches only this process, which ends its children in order
                )
        except OSError as error:
            self._failure = error
        finally:
            self._started.set()
        if self._process is not None:
            self._process.wait()
