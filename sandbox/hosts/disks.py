"""Makes disks of hosts as folders of the machine, for weights that memory cannot hold."""

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

LOCK = "lock"


class DiskFolders:
    """Makes the disks of one emulator, each a folder in `parent`. Their size has no limit.

    A killed emulator cannot remove its disks, so the next one does. Each emulator holds a lock on its folder. The
    kernel releases the lock when the process ends, also after a kill, so a free lock marks an abandoned folder.
    """

    def __init__(self, parent: Path) -> None:
        parent.mkdir(parents=True, exist_ok=True)
        parent.chmod(0o700)  # other users must not reach a host's set-uid programs
        with _locked(parent / LOCK):
            _sweep(parent)
            self._own = parent / f"{os.getpid()}-{secrets.token_hex(4)}"
            self._own.mkdir()
            self._lock: IO[bytes] = (self._own / LOCK).open("wb")
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def new(self, name: str) -> Path:
        """Make an empty disk."""
        folder = self._own / f"{name}-{secrets.token_hex(4)}"
        folder.mkdir()
        return folder

    def remove(self, disk: Path) -> None:
        """Remove a disk and its content. Removing it twice is harmless."""
        remove_tree(disk)

    def close(self) -> None:
        """Remove the disks that are left."""
        remove_tree(self._own)
        self._lock.close()


def remove_tree(folder: Path) -> None:
    """Remove a folder. An overlay leaves a folder in it that even the owner may not open, so this changes modes
    first.
    """

    def open_up(function: Callable[[str], object], path: str, error: object) -> None:
        if isinstance(error, tuple) and isinstance(error[1], FileNotFoundError):
            return
        for place in (os.path.dirname(path), path):  # noqa: PTH120 - shutil hands over text
            with contextlib.suppress(OSError):
                os.chmod(place, 0o700)  # noqa: PTH101
        if function in (os.unlink, os.rmdir):
            function(path)
        else:
            shutil.rmtree(path)

    shutil.rmtree(folder, onerror=open_up)


def _sweep(parent: Path) -> None:
    for folder in parent.iterdir():
        if not folder.is_dir():
            continue
        with (folder / LOCK).open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            remove_tree(folder)


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
