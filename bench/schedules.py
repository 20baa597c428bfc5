"""Instances left rented after 1,000 random histories of a fleet: faults, kills, and an operator who goes on or gives up.

The rules are the real ones, with market, host and clock in memory; see tests/doubles/schedule.py for what can strike. A
history that leaks prints its seed, which plays it again.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure
from tests.doubles.schedule import Leak, play

HISTORIES = 1000


def main() -> None:
    """Play and print."""
    leaks = 0
    faults = 0
    for seed in range(HISTORIES):
        try:
            faults += sum(" (moment " in line for line in play(seed).market.history)
        except Leak as leak:
            leaks += 1
            print(leak)
    print(f"{HISTORIES} histories, {faults} faults struck")
    figure("leaks in 1,000 histories of a fleet", leaks, "histories", 0)


if __name__ == "__main__":
    main()
