"""The memory of a session's processes together: pages that they share count once (PSS)."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.doubles.pulumi_stack import session_of

LOOK_SECONDS = 0.5


@dataclass
class Peak:
    """The most memory that was seen, in MB."""

    mb: float = 0.0


@contextlib.contextmanager
def peak_of_session(session: int) -> Iterator[Peak]:
    """Look at all processes of a session, twice a second, until the block ends."""
    peak, over = Peak(), threading.Event()

    def watch() -> None:
        while not over.wait(LOOK_SECONDS):
            peak.mb = max(peak.mb, sum(pss_mb(process) for process in session_of(session)))

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield peak
    finally:
        over.set()
        watching.join()


def pss_mb(process: int) -> float:
    """Return the memory of one process in MB, with its share of what others use too; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000
