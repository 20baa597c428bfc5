#!/usr/bin/python3
"""mount of an emulated server: a volume is a folder behind its device's name, so it is bound. The rest is mount's own."""

import os
import sys
from pathlib import Path

REAL = "/usr/bin/mount"
VOLUMES = "/dev/disk/by-id/scsi-0HC_Volume_"
WITH_VALUE = ("-o", "-t", "--options", "--types")


def main(words: list[str]) -> None:
    """Become the real mount, with a volume's folder in place of its device."""
    plain, skipped = [], False
    for word in words:
        if not skipped and not word.startswith("-"):
            plain.append(word)
        skipped = word in WITH_VALUE
    device, place = plain if len(plain) == 2 else (of_fstab(plain[0]) if len(plain) == 1 else "", (plain or [""])[-1])
    if device.startswith(VOLUMES):
        words = ["--bind", os.path.realpath(device), place]
    os.execv(REAL, ["mount", *words])


def of_fstab(place: str) -> str:
    """Return the device that /etc/fstab names for a place."""
    try:
        rows = [line.split() for line in Path("/etc/fstab").read_text().splitlines()]
    except OSError:
        return ""
    return next((row[0] for row in rows if len(row) > 1 and place in row[:2]), "")


if __name__ == "__main__":
    main(sys.argv[1:])
