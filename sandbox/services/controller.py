"""The controller of a stack's elastic fleets beside the sandbox, as a child process on one port of loopback."""

import shutil
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from sandbox.services.child import ServiceError
from sandbox.services.port_owner import taken
from sandbox.services.ports import LOOPBACK, choose, free
from sandbox.services.programs import Program

READY = "/readyz"  # database and applied config are known
STOP_SECONDS = 30.0  # its commands of Pulumi give up the locks of their stacks
REPO = Path(__file__).resolve().parents[2]


class Controller:
    """One controller at most. It ends with this process, also by kill -9. Its end gives back nothing that is rented.

    `port` 0 means any free port.
    """

    def __init__(self, home: Path, port: int = 0) -> None:
        self._home, self._port = home, port
        self._one = threading.Lock()
        self._program: Program | None = None

    @property
    def url(self) -> str:
        """Return the URL of its API; empty while none runs."""
        program = self._program
        return program.url if program is not None and program.runs else ""

    @property
    def pid(self) -> int | None:
        """Return its process id, None while none runs."""
        return self._program.pid if self.url and self._program else None

    def run(self, stack: str, dsn: str, environment: Mapping[str, str]) -> None:
        """Start it for a stack, and return when it is ready. One that runs with the same words stays as it is.

        `environment` has Pulumi's PATH, backend and passphrase. Raises ServiceError.
        """
        with self._one:
            port = self._port = self._port or choose(1)[0]
            wanted = self._wanted(stack, dsn, environment)
            if self.url and self._program is not None and self._program.environment == wanted:
                return
            self._end()
            if not free(port):
                raise ServiceError(taken(port, "the controller", "run `python -m sandbox up --controller-port PORT`"))
            self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
            program = Program("controller", ["-m", "controller"], port, READY, self._home, sys.executable, wanted)
            program.start()
            program.wait()
            self._program = program

    def stop(self) -> None:
        """End it. Its slots stay as they are, and the next one goes on with them. Stopping twice is harmless."""
        with self._one:
            self._end()

    def remove(self) -> None:
        """End it and remove its log and work folder."""
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def _wanted(self, stack: str, dsn: str, environment: Mapping[str, str]) -> dict[str, str]:
        return {
            **environment,
            "PYTHONPATH": str(REPO),
            "GPU_FLEET_STACK": stack,
            "GPU_FLEET_DSN": dsn,
            "GPU_FLEET_BACKEND": environment.get("PULUMI_BACKEND_URL", ""),
            "GPU_FLEET_LISTEN": f"{LOOPBACK}:{self._port}",
            "GPU_FLEET_WORK": str(self._home / "work"),
        }

    def _end(self) -> None:
        if self._program is not None:
            self._program.stop(STOP_SECONDS)
            self._program = None
