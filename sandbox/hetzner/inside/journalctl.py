#!/usr/bin/python3
"""journalctl of an emulated server: `journalctl -u UNIT [-n LINES]` prints the end of a unit's log."""

import itertools
import sys
from pathlib import Path

LOGS = Path("/var/log/units")


def main(words: list[str]) -> int:
    """Print the log."""
    values = dict(itertools.pairwise(words))
    unit, lines = values.get("-u", ""), int(values.get("-n", "1000"))
    if not unit:
        sys.stderr.write("An emulated server's journalctl needs -u UNIT.\n")
        return 1
    log = LOGS / f"{unit if '.' in unit else f'{unit}.service'}.log"
    kept = log.read_text(errors="replace").splitlines()[-lines:] if log.exists() else []
    print("\n".join(kept) or "-- No entries --")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
