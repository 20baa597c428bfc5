"""Which tests a run takes, and what it says about those that do not decide.

- `rotating(of=N)`: one of N cases of a function runs for a commit, another for the next; so does one of N plain tests
  of a file. TIER=deep runs them all.
- `quarantine(reason=...)`: the test runs, its failure does not fail the run, and the end of the run lists it.
"""

from __future__ import annotations

import subprocess
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

REPO = Path(__file__).resolve().parents[1]
TIER, SEED = "TIER", "TEST_SEED"  # variables of the environment
Row = TypeVar("Row")


@dataclass(frozen=True)
class Tier:
    """A run takes everything (`deep`), or of what rotates the slice that `seed` names."""

    deep: bool
    seed: int

    def takes(self, number: int, of: int) -> bool:
        """Say whether the run takes the test of that number out of each `of`."""
        return self.deep or number % of == self.seed % of

    def slice(self, rows: Sequence[Row], of: int, offset: int = 0) -> list[Row]:
        """Return every `of`-th row; callers with another offset get other rows, and TIER=deep gives each all of them."""
        return [row for number, row in enumerate(rows) if self.takes(number + offset, of)]

    def __str__(self) -> str:
        if self.deep:
            return "every test runs"
        return f"of rotating tests a slice runs: {SEED}={self.seed} plays it again, {TIER}=deep runs them all"


def tier_of(environ: Mapping[str, str], head: str) -> Tier:
    """Read the tier of a run; without TEST_SEED the slice follows from the hash of the commit at HEAD.

    >>> tier_of({}, "1f")
    Tier(deep=False, seed=31)
    """
    return Tier(environ.get(TIER) == "deep", int(environ.get(SEED) or int(head or "0", 16) % 1_000_000))


def head() -> str:
    """Return the hash of the commit at HEAD, empty outside a repository."""
    done = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", "HEAD"], cwd=REPO, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def left_out(items: Sequence[pytest.Item], tier: Tier) -> list[pytest.Item]:
    """Return the rotating tests that are not in the slice.

    The cases of a function are counted in their order, and so are the tests of a file that have no cases. Each function
    and file begins to count at a number of its own, so that the long tests of many do not all run for the same commits.
    """
    counts: Counter[str] = Counter()
    found = []
    for item in items:
        marker = item.get_closest_marker("rotating")
        if marker is None:
            continue
        function, cases, _case = item.nodeid.partition("[")
        counted = function if cases else function.partition("::")[0]
        if not tier.takes(zlib.crc32(counted.encode()) + counts[counted], marker.kwargs["of"]):
            found.append(item)
        counts[counted] += 1
    return found


def quarantine(items: Sequence[pytest.Item]) -> None:
    """Keep a quarantined test's failure from failing the run."""
    for item in items:
        if marker := item.get_closest_marker("quarantine"):
            item.add_marker(pytest.mark.xfail(reason=marker.kwargs["reason"], strict=False))


def quarantined(stats: Mapping[str, Sequence[Any]]) -> list[str]:
    """Return a line for each quarantined test of a run: how it ended, its name, its reason."""
    return [
        f"{'failed' if outcome == 'xfailed' else 'passed'} {report.nodeid}: {report.wasxfail}"
        for outcome in ("xfailed", "xpassed")
        for report in stats.get(outcome, ())
        if "quarantine" in report.keywords
    ]
