"""Machines given back because of the market's or the store's trouble: ten minutes of each that was seen, from each phase on.

The rules are the real ones, with market, store and clock in memory; see tests/doubles: outages.py (the market's API does
not answer), odd_lives.py (it says something odd of a healthy instance) and store_outages.py (weights do not come).
"""

import sys
from collections.abc import Iterable
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure
from tests.doubles import odd_lives, outages, store_outages

SEEDS = 20  # of a store that comes and goes


def main() -> None:
    """Count and print."""
    apis = product(outages.TROUBLES, outages.PHASES)
    count("the API's trouble", "creates", ((*key, outages.machines_given_back(*key)) for key in apis))
    combinations = product(odd_lives.LIVES, odd_lives.PHASES)
    found = ((life, phase, odd_lives.machines_given_back(odd_lives.LIVES[life], phase)) for life, phase in combinations)
    count("odd words of healthy instances", "creates and updates", found)
    stores = product(store_outages.TROUBLES, store_outages.MOMENTS, range(SEEDS))
    count("the store's trouble", "downloads", ((*key[:2], store_outages.machines_given_back(*key)) for key in stores))


def count(cause: str, cases: str, found: Iterable[tuple[str, str, int]]) -> None:
    """Print each case that cost a machine, how many there were, and the figure of all."""
    rows = list(found)
    for trouble, phase, lost in rows:
        if lost:
            print(f"{trouble} from {phase} on: {lost} given back", flush=True)
    print(f"{cause}: {len(rows)} {cases}", flush=True)
    figure(f"machines given back because of {cause}", sum(row[2] for row in rows), "", 0)


if __name__ == "__main__":
    main()
