"""Reads what the host's self-destruct service says: whether the host is ending itself, and how long its lease lasts.

Both moments are on the machine's monotonic clock, which all processes of the host share.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class OwnEnd:
    """Why the host is ending itself, and since how many seconds. `lease`: seconds until it lapses, below 0 since."""

    why: str = ""
    seconds: float = 0.0
    lease: float | None = None


def own_end(file: Path, monotonic: Callable[[], float] = time.monotonic) -> OwnEnd | None:
    """Return what the service wrote last; None for a host that never ends itself, or a file that cannot be read."""
    try:
        said = json.loads(file.read_text())
        until, now = said["lease_until"], monotonic()
        left = None if until is None else float(until) - now
        return OwnEnd(str(said["ending"]), now - float(said["since"]), left)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
