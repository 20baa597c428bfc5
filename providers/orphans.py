"""End orphans: provider processes whose engine was killed before any call reached them.

The SDK imports our code with the first call, and a process watches its engine only from then on. A process without a
call holds nothing. We recognise it by the name of its main thread, which each of our processes changes at its first
call. The next command in the same folder ends the orphan: its program does, and each provider process at its first call.
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
MOST_ABOVE = 2  # ancestors of an orphan: its launcher, and a service manager that adopts orphans


def mark_as_called(proc: Path = PROC) -> None:
    """Mark this process as one that watches its engine. Does nothing on a system without such names."""
    with contextlib.suppress(OSError):
        (proc / "self" / "comm").write_text(MARK)


def end_orphans(end: Callable[[int], None] = lambda pid: os.kill(pid, signal.SIGTERM)) -> list[int]:
    """End the orphans of this user and folder whose engine refuses twice; return their process ids."""
    found = [pid for pid in _unmarked() if EngineWatch(_engine_of(pid), ()).missed()]
    if found:
        SystemClock().sleep(SLICE_SECONDS)
    ended = []
    for pid in found:
        # Look once more: a call may have reached it, and another process may have its number by now.
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
