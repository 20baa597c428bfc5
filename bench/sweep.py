"""`gpu-fleet sweep` over an account of 1,000 instances, over what its list cannot be shorter than.

    limit = (pages of 25 - 1) times the market's interval between two lists

at the market's real pace. Not in the limit, and so part of the ratio: Python's start, and what Pulumi is asked.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure
from providers.vast.api.client import PAGE
from providers.vast.api.rate_limit import INTERVALS
from sandbox.market.records.contracts import Request
from sandbox.market.records.machines import generate
from sandbox.testing import running_market
from tests.doubles.pulumi_stack import REPO, Engine, environment, path_with_engine, sandbox_config

INSTANCES = 1000
LABELS = ("gpu-fleet/bench/chat-{}", "gpu-fleet/other/chat-{}", "a person's own {}", "")


def main() -> None:
    """Measure and print."""
    path = path_with_engine(os.environ)
    if path is None:
        raise SystemExit("There is no Pulumi engine here: `make setup` brings one.")
    machines = generate(1, 3 * INSTANCES)
    with (
        running_market(time_scale=1.0, machines=machines, thresholds=True) as market,
        tempfile.TemporaryDirectory(prefix="gpu-fleet-bench-") as name,
    ):
        folder = Path(name)
        (folder / "tmp").mkdir()
        for number, offer in enumerate(market.emulator.listed()[:INSTANCES]):
            label = LABELS[number % len(LABELS)].format(number)
            market.emulator.rent(int(offer["id"]), Request(image="image", disk=8, label=label))
        engine = Engine(folder, environment(folder, path) | {"TMPDIR": str(folder / "tmp")})
        stack = engine.stack(REPO, "bench")
        stack.write_config(sandbox_config(market.url, 1.0, "http://127.0.0.1:1"))
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "providers.vast", "sweep", "--stack", "bench", "--stack-id", "bench", "--json"],
            cwd=stack.folder,
            env=stack.env,
            capture_output=True,
            text=True,
            check=False,
        )
        took = time.perf_counter() - began
        engine.close()
    kinds = {kind: sums["instances"] for kind, sums in json.loads(done.stdout)["kinds"].items() if sums["instances"]}
    if sum(kinds.values()) != INSTANCES:
        raise SystemExit(f"it found {kinds}: {done.stderr}")
    limit = (-(-INSTANCES // PAGE) - 1) * INTERVALS["list"]
    print(f"{took:.1f} s for {kinds}; limit {limit:.1f} s", flush=True)
    figure("sweep of 1,000 instances over its limit", took / limit, "ratio", 1.15)


if __name__ == "__main__":
    main()
