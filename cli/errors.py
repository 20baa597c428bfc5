"""The one error that commands raise themselves, and how it reaches the operator."""

import sys
from typing import IO, Any

import click


class CommandError(click.ClickException):
    """The command cannot be done as it was asked. The message is a sentence for the operator."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status
        self.command = ""

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """Return the exit status of the command."""
        return self.status

    def show(self, file: IO[Any] | None = None) -> None:
        """Print `gpu-fleet COMMAND: message` on stderr."""
        print(f"{self.command or 'gpu-fleet'}: {self.message}", file=file or sys.stderr)
