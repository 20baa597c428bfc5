"""Requests cut, instances leaked or doubled, and budgets broken in 10,000 random histories of an elastic fleet, and how often
a square wave of load changes its count.

The rules are the shipped ones, with market, hosts, clients and clock in memory; see tests/doubles/elastic. A history that
breaks something prints its seed, which plays it again. `SEEDS=200` in the environment is quick.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure
from controller.elastic import Elastic
from tests.doubles.elastic.schedule import play
from tests.doubles.elastic.timeline import Broken
from tests.doubles.elastic.waves import wave_changes

SEEDS = int(os.environ.get("SEEDS", "10000"))
WAVES = (2, 4, 6, 10, 12, 15, 20, 30)  # minutes
CUT, MONEY = "is destroyed with", "the rent may cost"
DOUBLED = ("is rented twice", "instance is rented", "row is absent", "and there are")


def main() -> None:
    """Play and print."""
    cut = leaked = money = others = 0
    rented = troubles = 0
    for seed in range(SEEDS):
        try:
            counts = play(seed).counts
        except Broken as broken:
            print(broken, flush=True)
            first = str(broken).partition("\n")[0]
            cut, money = cut + (CUT in first), money + (MONEY in first)
            leaked += any(words in first for words in DOUBLED)
            others += not any(words in first for words in (CUT, MONEY, *DOUBLED))
            continue
        rented += counts.get("rented", 0)
        troubles += sum(counts.get(what, 0) for what in ("kill", "stall", "jump", "person's up", "person's destroy"))
    print(f"{SEEDS} histories, {rented} rents, {troubles} kills, stalls, jumps and deeds of persons")
    name = f"{SEEDS:,} histories of an elastic fleet"
    figure(f"requests cut by scaling in {name}", cut, "", 0)
    figure(f"instances leaked, doubled or missing in {name}", leaked, "", 0)
    figure(f"budgets broken in {name}", money, "", 0)
    figure(f"other rules of scaling broken in {name}", others, "", 0)
    elastic = Elastic(max=4)
    short = [minutes for minutes in WAVES if 30 * minutes < elastic.idle_seconds]
    worst = max(wave_changes(elastic, minutes, low, 30) * minutes / 60 for minutes in short for low in (0, 3, 9))
    figure("changes of the count a wave, square-wave load for an hour, low for less than idleSeconds", worst, "", 2)


if __name__ == "__main__":
    main()
