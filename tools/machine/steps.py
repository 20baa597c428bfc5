"""How set-up runs its steps: one line a step with its seconds, one sentence when one fails, never two at once."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path


class SetupError(Exception):
    """Set-up cannot go on; the message is a sentence for the operator with what to do next."""


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Print the title when the step begins and its seconds when it ends (nothing if it raised)."""
    print(f"set-up: {title} ...", file=sys.stderr, flush=True)
    began = time.monotonic()
    yield
    print(f"set-up: {title}: {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)


def run(command: Sequence[str | Path], what: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a command to its end and return its stdout; SetupError with its last lines if it fails."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise SetupError(f"{what} cannot start: {error}.") from error
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise SetupError(f"{what} failed with exit status {done.returncode} ({' '.join(words)}):\n{tail}")
    return done.stdout


@contextlib.contextmanager
def alone(cache: Path) -> Iterator[None]:
    """Hold the cache's lock: a second set-up waits (and says so) instead of building the same thing."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step("waiting for another set-up on this machine"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def refuse_full_disk(folder: Path, needed_bytes: int, what: str) -> None:
    """Raise SetupError if the folder's file system has less free than needed; a missing folder counts as its
    parent."""
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise SetupError(
            f"{what} needs about {needed_bytes / 1e9:.1f} GB under {folder}, and {free / 1e9:.1f} are free. "
            "Free some, or point XDG_CACHE_HOME at a larger disk."
        )


def complete(folder: Path) -> bool:
    """Say whether an environment was finished: virtual environments cannot be renamed, so a file marks the end."""
    return (folder / "complete").is_file() and (folder / "bin" / "python").exists()


def mark_complete(folder: Path) -> None:
    """Leave the mark that `complete` looks for."""
    (folder / "complete").write_text("Made by set-up; delete the whole folder to have it made again.\n")
