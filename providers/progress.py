"""One line for the operator while the engine works."""

from contextlib import suppress

from config.masking import masked


def print_progress(line: str) -> None:
    """Print a line for the CLI to show. A killed engine has closed the pipe; that must not stop us from giving back."""
    with suppress(OSError):
        print(masked(line), flush=True)  # noqa: T201 -- stdout is the way to the CLI
