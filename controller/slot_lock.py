"""The lock of a stack at a backend without a service: its holder, and whether that process is dead; pure but for `/proc`.

Pulumi refuses a command while another one's lock is there. A process that was killed leaves its lock.
"""

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LOCKED = "the stack is currently locked"
_HOLDER = re.compile(r"created by (?P<user>[^\s@]*)@(?P<host>\S+) \(pid (?P<pid>\d+)\)(?: at (?P<since>\S+))?")


@dataclass(frozen=True)
class Holder:
    """The process that a lock names."""

    user: str
    host: str
    pid: int
    since: str

    def __str__(self) -> str:
        """Return the words for an operator."""
        return f"process {self.pid} of {self.user}@{self.host} since {self.since or 'an unknown time'}"


def holders(text: str) -> tuple[Holder, ...] | None:
    """Return the holders of the stack, by Pulumi's words on stderr. None: it said nothing of a lock."""
    if LOCKED not in text:
        return None
    return tuple(
        Holder(found["user"], found["host"], int(found["pid"]), found["since"] or "")
        for found in _HOLDER.finditer(text)
    )


def runs_pulumi(pid: int) -> bool:
    """Return whether a process of this machine with this number runs, and is Pulumi."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip().startswith("pulumi")
    except OSError:
        return False


def are_dead(found: tuple[Holder, ...], host: str, runs: Callable[[int], bool]) -> bool:
    """Return whether every holder is a process of this machine that runs no more. A holder elsewhere may be alive."""
    return bool(found) and all(one.host == host and not runs(one.pid) for one in found)


def are_dead_here(found: tuple[Holder, ...]) -> bool:
    """Return whether every holder is dead, by this machine's name and processes."""
    return are_dead(found, socket.gethostname(), runs_pulumi)
