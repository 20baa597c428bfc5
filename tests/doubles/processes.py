"""Processes as the kernel sees them: who descends from whom, and who is still there."""

import time
from collections.abc import Callable
from pathlib import Path

from providers.engine_watch import Process


def descendants(pid: int) -> list[Process]:
    """Return every process below `pid`, each of them proof against a later one of the same number."""
    found = []
    for folder in Path("/proc").glob(f"{pid}/task/*"):
        try:
            children = (folder / "children").read_text().split()
        except OSError:  # the thread has ended since it was listed
            continue
        for child in children:
            try:
                fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            found += [Process(int(child), fields[19]), *descendants(int(child))]
    return found


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Poll until the condition holds; fails at the deadline."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.05)
