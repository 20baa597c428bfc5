"""`python -m cli` is `gpu-fleet` for a shell in which set-up has not put the command on PATH."""

import sys


def start() -> None:
    """Run the command. A Python without the project's packages gets one sentence instead of a traceback."""
    try:
        from cli.main import main  # noqa: PLC0415 -- the packages may be missing
    except ModuleNotFoundError as error:
        version = ".".join(map(str, sys.version_info[:3]))
        sys.exit(
            f"gpu-fleet: {sys.executable} (Python {version}) has no package {error.name}. "
            "`make setup` makes the project's environment; then run .venv/bin/gpu-fleet."
        )
    sys.exit(main())


if __name__ == "__main__":
    start()
