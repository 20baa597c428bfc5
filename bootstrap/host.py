"""Declare a host as the bootstrap needs it: run a command, put a file, close."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Result:
    """Hold a command's exit status and outputs."""

    status: int
    stdout: str
    stderr: str

    def tail(self, lines: int = 12) -> str:
        """Return the last lines of both outputs, for messages."""
        return "\n".join((self.stdout + self.stderr).strip().splitlines()[-lines:])


class Host(Protocol):
    """Reach one host. Raises HostLost if the connection ends."""

    def run(self, command: str, stdin: bytes = b"", timeout: float = 60) -> Result:
        """Run a shell command to its end. Secrets go to `stdin`, never into `command`.

        Raises StepFailed if it takes longer than `timeout` seconds.
        """

    def put(self, data: bytes, path: str, mode: int) -> None:
        """Write a file whole: under another name first, then renamed into place."""

    def close(self) -> None:
        """End the connection."""
