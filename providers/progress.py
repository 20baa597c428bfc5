"""One line for the operator while the engine works."""

from contextlib import suppress

from config.masking import masked


def report_progress(line: str) -> None:
    """Have the CLI show a line. A killed engine has closed the pipe: that must not keep anybody from giving back."""
    with suppress(OSError):
        print(masked(line), flush=True)  # noqa: T201 -- stdout is the way to the CLI
