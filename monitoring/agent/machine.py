"""Reads disk, network, memory and processors of the machine under the container, from /proc and statvfs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def disk(folder: Path) -> tuple[int, int]:
    """Return (free, total) bytes of the disk that holds the weights."""
    existing = next(one for one in (folder, *folder.parents) if one.is_dir())
    found = shutil.disk_usage(existing)
    return found.free, found.total


def network(text: str) -> dict[str, int]:
    """Return bytes by direction from /proc/net/dev, without loopback. The market bills these bytes."""
    received = sent = 0
    for row in text.splitlines():
        name, _, numbers = row.partition(":")
        fields = numbers.split()
        if len(fields) >= 9 and name.strip() != "lo":
            received, sent = received + int(fields[0]), sent + int(fields[8])
    return {"received": received, "sent": sent}


def memory(text: str) -> tuple[int, int]:
    """Return (available, total) bytes from /proc/meminfo."""
    rows = dict(row.split(":", 1) for row in text.splitlines() if ":" in row)
    available, total = (int(rows.get(name, "0").split()[0]) * 1024 for name in ("MemAvailable", "MemTotal"))
    return available, total


def processors(text: str) -> tuple[float, float]:
    """Return (busy, all) seconds of all processors since the start, from /proc/stat."""
    ticks = [int(field) for field in text.split("\n", 1)[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    hertz = os.sysconf("SC_CLK_TCK")
    return (sum(ticks) - idle) / hertz, sum(ticks) / hertz


def read(path: str) -> str:
    """Return a file's text; empty if it cannot be read."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""
