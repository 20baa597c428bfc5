"""Disks of hosts as folders of the machine, for what is too large for its memory."""

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
    """The disks of one emulator, each a folder in `parent`. Their size is not limited.

    An emulator that was killed cannot remove its disks, so the next one does: a lock, which the kernel lets go when a
    process ends however it ends, tells whose are still in use.
    """

    def __init__(self, parent: Path) -> None:
        parent.mkdir(parents=True, exist_ok=True)
        parent.chmod(0o700)  # what is set-uid in a host must be out of other users' reach
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
        """Remove a disk with all that is on it; harmless where it is gone."""
        remove_tree(disk)

    def close(self) -> None:
        """Remove what is left."""
        remove_tree(self._own)
        self._lock.close()


def remove_tree(folder: Path) -> None:
    """Remove a folder. An overlay leaves one in it that not even its owner may open."""

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
