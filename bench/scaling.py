"""Requests cut, instances leaked or doubled, budgets and waves broken in 10,000 random histories of elastic fleets, and how
often a square wave of load changes the count.

The rules are the shipped ones, with market, hosts, clients and clock in memory; see tests/doubles/elastic. A history that
breaks something prints its seed, which plays it again. `SEEDS=200` in the environment is quick. With `DONE=FILE`, a line is
kept there for each 50 histories, and another run goes on after them; `JOBS=1` plays in one process.
"""

import json
import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure
from config.elastic import Elastic
from tests.doubles.elastic.schedule import TROUBLES, play
from tests.doubles.elastic.timeline import Broken
from tests.doubles.elastic.waves import wave_changes

IN_ONE = 50
SEEDS = int(os.environ.get("SEEDS", "10000"))
JOBS = int(os.environ.get("JOBS", "2"))
DONE = os.environ.get("DONE")
WAVES = (2, 4, 6, 10, 12, 15, 20, 30)  # minutes
KINDS = {
    "cut": ("requests under way", "an edit cuts"),
    "waves": ("is taken down", "and serves a claim, before"),
    "money": ("the rent may cost",),
    "leaked": ("is rented twice", "instance is rented", "row is", "and there are"),
}


def main() -> None:
    """Play and print."""
    total: Counter[str] = Counter()
    kept = Path(DONE) if DONE else None
    done = dict(json.loads(line) for line in kept.read_text().splitlines()) if kept and kept.exists() else {}
    for found in done.values():
        total.update(found)
    firsts = [first for first in range(0, SEEDS, IN_ONE) if str(first) not in done]
    with ProcessPoolExecutor(JOBS) as pool:
        for first, found in zip(firsts, pool.map(histories, firsts), strict=True):
            total.update(found)
            if kept:
                with kept.open("a") as file:
                    print(json.dumps([str(first), found]), file=file)
    troubles = sum(total[what] for what in set(TROUBLES))
    print(f"{SEEDS} histories, {total['rented']} rents, {troubles} kills, stalls, jumps and deeds of persons")
    name = f"{SEEDS:,} histories of an elastic fleet"
    figure(f"requests cut by scaling in {name}", total["cut"], "", 0)
    figure(f"instances leaked, doubled or missing in {name}", total["leaked"], "", 0)
    figure(f"budgets broken in {name}", total["money"], "", 0)
    figure(f"waves of an edit beyond maxUnavailable or after a failure in {name}", total["waves"], "", 0)
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
