"""Finds the process that listens on a TCP port of this machine, in /proc, for the error about a port in use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

LISTENING = "0A"  # the state of a listening socket in /proc/net/tcp
PROC = Path("/proc")


def port_owner(port: int, proc: Path = PROC) -> str:
    """Return `process 123 (python3)` for the process that listens on the port, or an empty text if it is not visible.

    Processes of another user or of another process namespace are not visible.
    """
    sockets = {f"socket:[{inode}]" for inode in _listening(port, proc)}
    if not sockets:
        return ""
    for process in proc.glob("[0-9]*"):
        if sockets.intersection(_open(process)):
            return f"process {process.name}{_name(process)}"
    return ""


def taken(port: int, purpose: str, move: str) -> str:
    """Return a sentence: the port is in use, by this process, and the next step. `move` is how the user chooses
    another port.
    """
    found = port_owner(port)
    end = "End that process" if found else "End what listens there"
    return f"Port {port} is in use{found and f' by {found}'} and {purpose} is to listen there. {end}, or {move}."


def _listening(port: int, proc: Path) -> Iterator[str]:
    """Yield the inodes of the sockets that listen on the port, on any address."""
    for table in ("tcp", "tcp6"):
        try:
            rows = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            if columns[3] == LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                yield columns[9]


def _open(process: Path) -> Iterator[str]:
    """Yield the open files of a process; none if it has ended or belongs to another user."""
    try:
        files = list((process / "fd").iterdir())
    except OSError:
        return
    for file in files:
        with contextlib.suppress(OSError):
            yield str(file.readlink())


def _name(process: Path) -> str:
    # Without its arguments: they may hold secrets, which do not belong in a log.
    try:
        return f" ({(process / 'comm').read_text(errors='replace').strip()})"
    except OSError:
        return ""
