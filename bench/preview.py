"""`pulumi preview` of 100 instances in 5 fleets against a market of 5,000 offers: seconds, and memory at its peak.

Nothing exists yet, so every instance is checked and searched for: the market keeps its published pace (a search every six
seconds), and fleets that wish for the same machine share a search. The five fleets here wish for two kinds of machine: one
more kind takes six seconds more, whoever asks.
"""

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._cloud import running_cloud
from bench._figures import figure
from bench._memory import peak_of_session

OFFERS = 5_000
FLEETS, REPLICAS = 5, 20
GPUS = (["RTX 4090"], ["RTX 4090"], ["RTX 4090"], ["RTX 3090"], ["RTX 3090"])


def main() -> None:
    """Measure and print."""
    with running_cloud(time_scale=1.0, machines=OFFERS) as cloud, cloud.stack() as stack:
        stack.write_config(fleets(stack.read_config()))
        began = time.perf_counter()
        child = stack.start("preview", "--stack", stack.name)
        with peak_of_session(child.pid) as peak:
            text = "".join(child.communicate())
        took = time.perf_counter() - began
        created = text.count("dynamic/vast:Instance ")
        calls = cloud.sandbox.status()["market"]
    if child.returncode or created < FLEETS * REPLICAS:
        raise SystemExit(f"the preview failed, or lacks instances ({created}):\n{text}")
    print(f"{took:.1f} s, {peak.mb:.0f} MB, calls to the market: {calls['calls']}", flush=True)
    figure("preview of 100 instances in 5 fleets, 5,000 offers", took, "s", 10)
    figure("memory of engine and providers, preview of 100 instances", peak.mb, "MB", 300)
    figure("429s in that preview", calls["calls_too_early"], "", 0)


def fleets(config: dict[str, Any]) -> dict[str, Any]:
    """Return the config with its one fleet exchanged for five."""
    like = config["gpu-fleet:fleets"]["chat"]
    several = {
        f"fleet-{number}": {**like, "replicas": REPLICAS, "gpu": {"name": names}, "maxUsdPerHour": 2.0}
        for number, names in enumerate(GPUS)
    }
    return {**config, "gpu-fleet:fleets": several}


if __name__ == "__main__":
    main()
