"""How long a review of 24 instances takes as a command, offers of the market included, how long its comment for 200 is, and
how far what a review shows is from what 100 seeded markets charge.

The market is the sandbox's, with the real one's thresholds and clock. Six fleets of four instances are edited so that each
searches: other GPUs, more replicas, another model. Each run is the first one of an account and of a computer. A run before
them fills the caches of the operating system. The market allows ten searches in a minute: an edit of more than eight fleets
with different requirements waits for it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure, percentile
from sandbox.testing import RunningMarket, running_market
from tests.doubles.reviewed_repository import STACK, Repository
from tests.doubles.shown_price import prices_on

ROOT = Path(__file__).resolve().parents[1]
RUNS = 5
MARKETS = 100
GOAL_SECONDS, GOAL_LETTERS, GOAL_OFF = 10.0, 20_000, 2.0
EDITS: tuple[tuple[str, Any], ...] = (
    ("gpu.name", "RTX 3090"),
    ("replicas", 6),
    ("model", "large"),
    ("maxUsdPerHour", 3.5),
    ("image", "vllm/vllm-openai:v0.31.0"),
    ("regions", ["US", "CA", "GB"]),
)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, running_market(time_scale=1.0, thresholds=True) as market:
        reviews = [reviewed(Path(folder) / "small", market, 4, run) for run in range(RUNS + 1)]
        seconds = [one for one, _ in reviews[1:]]
        print(f"review of {len(reviews[0][1]['instances'])} instances: {', '.join(f'{one:.2f}' for one in seconds)} s")
        figure("review of 24 instances, wall, slowest of 5", percentile(seconds, 1.0), "s", GOAL_SECONDS)
        _, large = reviewed(Path(folder) / "large", market, 34, RUNS + 1)
        print(f"{len(large['instances'])} instances: verdict {large['verdict']}")
        figure("comment of 200 instances", len(large["comment"]), "characters", GOAL_LETTERS)
    with tempfile.TemporaryDirectory() as folder:
        prices = [one for seed in range(MARKETS) if (one := prices_on(seed, Path(folder) / str(seed)))]
    known = [(one.shown, one.charged, one.ceiling) for one in prices if one.shown and one.charged and one.ceiling]
    if len(known) != len(prices):
        raise SystemExit(f"{len(prices) - len(known)} prices are not known")
    print(f"{len(known)} rents on {MARKETS} markets")
    off = max(abs(charged / shown - 1) * 100 for shown, charged, _ in known)
    figure("charge beside the price that a review showed, furthest of 100 seeded markets", off, "%", GOAL_OFF)
    over = sum(charged > ceiling + 1e-9 for _, charged, ceiling in known)
    figure("charges over the ceiling that a review showed, 100 seeded markets", over, "charges", 0)


def reviewed(folder: Path, market: RunningMarket, replicas: int, run: int) -> tuple[float, dict[str, Any]]:
    """Edit six fleets of so many instances, and return a review's seconds and its answer."""
    account = market.accounts.named(f"run {run}")
    key = account.keys.make("review", ["misc"], account.number).secret
    repository = Repository(folder / str(run))
    fleet = {
        "replicas": replicas,
        "model": "small",
        "gpu": {"name": "RTX 4090"},
        "maxUsdPerHour": 3.0,
        "verified": False,
    }
    repository.config["fleets"] = {f"f{number}": dict(fleet, gpu=dict(fleet["gpu"])) for number in range(len(EDITS))}  # type: ignore[call-overload]
    repository.set("market", {"url": market.url})
    base = repository.commit()
    for number, (path, value) in enumerate(EDITS):
        repository.set(f"fleets.f{number}.{path}", value)
    head = repository.commit()
    words = ["review", "--base", base, "--head", head, "--stack", STACK, "--json"]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "VAST_REVIEW_KEY": key,
        "XDG_CACHE_HOME": str(folder / f"cache {run}"),
    }
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "cli", *words],
        cwd=repository.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    if not done.stdout:
        raise SystemExit(done.stderr)
    return seconds, json.loads(done.stdout)


if __name__ == "__main__":
    main()
