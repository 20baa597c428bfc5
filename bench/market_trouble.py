"""Healthy machines destroyed, and instances rented that no state and no message knows: every trouble of the market in every
phase of an instance's life, a thousand seeds each, on the fake clock.

The rules are the shipped ones, with market, host and clock in memory; see tests/doubles/market_trouble.py. A case that costs
something prints its words, which play it again.

All seeds take about six hours of one core. A run goes on with those that earlier runs of the same code have not played, and
MINUTES in the environment ends it sooner. The figures name the seeds that every case has played. `SEEDS=10` is quick.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure
from bootstrap.cache import cache_folder
from tests.doubles.market_trouble import CASES, play

CHECKOUT = Path(__file__).resolve().parents[1]
SEEDS = int(os.environ.get("SEEDS", "1000"))
MINUTES = float(os.environ.get("MINUTES", "inf"))
ROUND = 10  # seeds of every case, after which a run may end
CODE = ("bootstrap", "config", "providers", "sandbox", "tests/doubles")

Case = tuple[str, str]


@dataclass
class Played:
    """What was found with the seeds below `seeds`, of every case."""

    seeds: int = 0
    destroyed: int = 0
    unknown: int = 0


def main() -> None:
    """Play and print."""
    file = cache_folder() / "market-trouble" / f"{digest(CHECKOUT)}.json"
    ends = time.monotonic() + 60 * MINUTES
    with ProcessPoolExecutor() as pool:
        played = go_on(file, SEEDS, lambda seeds: pool.map(partial(play_seeds, seeds), CASES), lambda: left(ends))
    cases = f"{len(CASES)} troubles and phases x {played.seeds:,} seeds"
    figure(f"healthy machines destroyed because of the market's trouble, {cases}", played.destroyed, "", 0)
    figure(f"instances rented and unknown after the market's trouble, {cases}", played.unknown, "", 0)


def left(ends: float) -> bool:
    """Return whether there is time for one more round."""
    return time.monotonic() < ends


def go_on(
    file: Path, seeds: int, play_round: Callable[[range], Iterable[tuple[int, int]]], is_time: Callable[[], bool]
) -> Played:
    """Play round after round from where the file says that earlier runs ended; return what all of them found.

    Plays one round at least, unless the file has all seeds.
    """
    played = read(file)
    while played.seeds < seeds:
        until = min(seeds, played.seeds + ROUND)
        for destroyed, unknown in play_round(range(played.seeds, until)):
            played.destroyed, played.unknown = played.destroyed + destroyed, played.unknown + unknown
        played.seeds = until
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(asdict(played)))
        part.replace(file)
        if not is_time():
            break
    return played


def read(file: Path) -> Played:
    """Return what earlier runs of this code found."""
    try:
        return Played(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return Played()


def digest(checkout: Path) -> str:
    """Return the digest of all code that a life depends on."""
    files = sorted(file for room in CODE for file in (checkout / room).rglob("*.py"))
    found = hashlib.sha256()
    for file in files:
        found.update(f"{file.relative_to(checkout)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()[:16]


def play_seeds(seeds: range, case: Case) -> tuple[int, int]:
    """Play seeds of one trouble in one phase; return how many machines were destroyed and left unknown."""
    destroyed = unknown = 0
    for seed in seeds:
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
