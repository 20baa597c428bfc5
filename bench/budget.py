"""Budgets passed in 1,000 days of 48 renters on two computers, and what the same days do without reservations.

Renting, reserving and counting are the shipped code; market, bucket and clock are in memory. tests/doubles/budget_history.py
says what goes wrong in a day. A day over its budget prints its seed, which plays it again.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure, percentile
from tests.doubles.budget_history import play

DAYS = 1000
WITHOUT = 100


def main() -> None:
    """Play and print."""
    used, over, refused, kills = [], 0, 0, 0
    for seed in range(DAYS):
        day = play(seed)
        used.append(day.usd / day.budget)
        refused += day.refused
        kills += day.kills
        if day.usd > day.budget:
            over += 1
            print(f"seed {seed}: ${day.usd:.2f} of ${day.budget:.2f}", flush=True)
    print(
        f"{DAYS} days, {refused} rents refused, {kills} processes killed, {percentile(used, 0.5):.0%} used at the median"
    )
    figure("budgets passed in 1,000 days of 48 renters on two computers", over, "days", 0)
    passed = sum(day.usd > day.budget for day in (play(seed, reserving=False) for seed in range(WITHOUT)))
    figure("budgets passed in 100 of these days without reservations", passed, "days", 1, "more")


if __name__ == "__main__":
    main()
