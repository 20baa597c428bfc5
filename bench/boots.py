"""Boots given up though they would have come: 200 seeded boots of 5 to 35 minutes with frozen messages, in virtual time.

The rules are the real ones, with market and clock in memory; see tests/doubles/slow_boots.py.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure
from tests.doubles.slow_boots import given_up

BOOTS = 200


def main() -> None:
    """Play and print."""
    figure("boots of 5 to 35 minutes given up, of 200", sum(given_up(seed) for seed in range(BOOTS)), "boots", 0)


if __name__ == "__main__":
    main()
