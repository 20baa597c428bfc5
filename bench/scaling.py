"""Requests cut, instances leaked or doubled, and budgets broken in 10,000 random histories of an elastic fleet, and how often
a square wave of load changes its count.

The rules are the shipped ones, with market, hosts, clients and clock in memory; see tests/doubles/elastic. A history that
breaks something prints its seed, which plays it again. `SEEDS=200` in the environment is quick.
"""

import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure
from config.elastic import Elastic
from tests.doubles.elastic.schedule import play
from tests.doubles.elastic.timeline import Broken
from tests.doubles.elastic.waves import wave_changes

IN_ONE = 50
SEEDS = int(os.environ.get("SEEDS", "10000"))
WAVES = (2, 4, 6, 10, 12, 15, 20, 30)  # minutes
KINDS = {
    "cut": ("requests under way",),
    "money": ("the rent may cost",),
    "leaked": ("is rented twice", "instance is rented", "row is", "and there are"),
}


def main() -> None:
    """Play and print."""
    total: Counter[str] = Counter()
    with ProcessPoolExecutor(2) as pool:
        for found in pool.map(histories, range(0, SEEDS, IN_ONE)):
            total.update(found)
    troubles = sum(total[what] for what in ("kill", "stall", "jump", "person's up", "person's destroy"))
    print(f"{SEEDS} histories, {total['rented']} rents, {troubles} kills, stalls, jumps and deeds of persons")
    name = f"{SEEDS:,} histories of an elastic fleet"
    figure(f"requests cut by scaling in {name}", total["cut"], "", 0)
    figure(f"instances leaked, doubled or missing in {name}", total["leaked"], "", 0)
    figure(f"budgets broken in {name}", total["money"], "", 0)
    figure(f"other rules of scaling broken in {name}", total["other"], "", 0)
    elastic = Elastic(max=4)
    short = [minutes for minutes in WAVES if 30 * minutes < elastic.idle_seconds]
    worst = max(wave_changes(elastic, minutes, low, 30) * minutes / 60 for minutes in short for low in (0, 3, 9))
    figure("changes of the count a wave, square-wave load for an hour, low for less than idleSeconds", worst, "", 2)


def histories(first: int) -> Counter[str]:
    """Play some histories; return what happened in them, and how often which kind of invariant was broken."""
    total: Counter[str] = Counter()
    for seed in range(first, min(first + IN_ONE, SEEDS)):
        try:
            total.update(play(seed).counts)
        except Broken as broken:
            print(broken, flush=True)
            total[kind(str(broken).partition("\n")[0])] += 1
    return total


def kind(said: str) -> str:
    """Name the kind of invariant of which a broken one speaks."""
    for name, words in KINDS.items():
        if any(word in said for word in words):
            return name
    return "other"


if __name__ == "__main__":
    main()
