"""Healthy machines destroyed, and instances rented that no state and no message knows: every trouble of the market in every
phase of an instance's life, a thousand seeds each, on the fake clock.

The rules are the shipped ones, with market, host and clock in memory; see tests/doubles/market_trouble.py. A case that costs
something prints its words, which play it again. It takes an hour of one core: `SEEDS=10` in the environment is quick.
"""

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure
from tests.doubles.market_trouble import CASES, play

SEEDS = int(os.environ.get("SEEDS", "1000"))


def main() -> None:
    """Play and print."""
    destroyed = unknown = 0
    with ProcessPoolExecutor() as pool:
        for lost, left in pool.map(play_seeds, CASES):
            destroyed, unknown = destroyed + lost, unknown + left
    cases = f"{len(CASES)} troubles and phases x {SEEDS:,} seeds"
    figure(f"healthy machines destroyed because of the market's trouble, {cases}", destroyed, "", 0)
    figure(f"instances rented and unknown after the market's trouble, {cases}", unknown, "", 0)


def play_seeds(case: tuple[str, str]) -> tuple[int, int]:
    """Play all seeds of one trouble in one phase; return how many machines were destroyed and left unknown."""
    destroyed = unknown = 0
    for seed in range(SEEDS):
        found = play(*case, seed)
        destroyed, unknown = destroyed + found.destroyed, unknown + found.unknown
        if found.destroyed or found.unknown:
            print(
                f"play({case[0]!r}, {case[1]!r}, {seed}): {found.destroyed} destroyed, {found.unknown} unknown",
                flush=True,
            )
    return destroyed, unknown


if __name__ == "__main__":
    main()
