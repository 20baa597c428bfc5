"""End provider processes that no call ever reached, and whose engine was killed: nothing else tells them.

The SDK imports our code with the first call, and only from then on does a process look after itself. One that was started
and not called holds nothing. It is told by the name of its main thread, which every process of ours changes at its first
call. The next command in the same folder ends it.
"""

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from bootstrap.clock import SystemClock
from providers.engine_watch import SLICE_SECONDS, EngineWatch, ancestors

MARK = "gpu-fleet"
PROC = Path("/proc")
MOST_ABOVE = 2  # of an orphan: its launcher, and a service manager that takes orphans in


def mark_as_called(proc: Path = PROC) -> None:
    """Show that this process looks after itself from now on. Does nothing where the system has no such names."""
    with contextlib.suppress(OSError):
        (proc / "self" / "comm").write_text(MARK)


def end_orphans(end: Callable[[int], None] = lambda pid: os.kill(pid, signal.SIGTERM)) -> list[int]:
    """End what was never called, of this user and folder, where its engine refuses twice; return the process ids."""
    found = [pid for pid in _unmarked() if EngineWatch(_engine_of(pid), ()).missed()]
    if found:
        SystemClock().sleep(SLICE_SECONDS)
    ended = []
    for pid in found:
        # Looked at once more: it may have been called, and its number may be another process's by now.
        if pid in _unmarked() and EngineWatch(_engine_of(pid), ()).missed():
            with contextlib.suppress(OSError):
                end(pid)
                ended.append(pid)
    return ended


def _unmarked() -> list[int]:
    return [int(folder.name) for folder in PROC.glob("[0-9]*") if _is_unmarked(folder)]


def _is_unmarked(folder: Path) -> bool:
    try:
        ours = folder.stat().st_uid == os.getuid() and (folder / "cwd").readlink() == Path.cwd()
        if not ours or (folder / "comm").read_text().strip() == MARK:
            return False
        return _words(folder)[-3:-1] == ["-m", "pulumi.dynamic"] and len(ancestors(int(folder.name))) <= MOST_ABOVE
    except (OSError, IndexError):
        return False


def _engine_of(pid: int) -> str | None:
    try:
        return _words(PROC / str(pid))[-1]
    except (OSError, IndexError):
        return None


def _words(folder: Path) -> list[str]:
    return (folder / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
