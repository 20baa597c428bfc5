"""What 32 instances ask of the market: calls an instance in up, refresh and destroy, and refusals; and how long up takes
over its limit (see up.py), and the destroy over its critical path.

    path of destroy = 31 turns in the destroy threshold, and one left free for others
                      + the time between two looks that must agree + the engine's empty run

Empty run: a destroy of the same stack without instances. The market keeps the pace of the real one.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._cloud import Cloud, instances, running_cloud
from bench._figures import figure
from bench.up import GOAL, describe_phases, parts_of
from providers.vast.api.rate_limit import INTERVALS, LONGEST_ROW
from providers.vast.limits import Limits

INSTANCES = 32
TIME_SCALE = 1.0
GOAL_CALLS = {"up": 10, "refresh": 3, "destroy": 5}


def main() -> None:
    """Measure and print."""
    with running_cloud(TIME_SCALE) as cloud:
        with cloud.stack(replicas=0) as stack:
            _none, empty_up = measured(cloud, stack.up)
            _none, empty = measured(cloud, stack.destroy)
        with cloud.stack(replicas=INSTANCES) as stack:
            for name, step in (("up", stack.up), ("refresh", stack.refresh), ("destroy", stack.destroy)):
                calls, seconds = measured(cloud, step)
                each = sum(calls.values()) / INSTANCES
                print(f"{name}: {seconds:.1f} s, calls to the market: {calls}", flush=True)
                figure(f"calls to the market an instance, {name} of {INSTANCES}", each, "", GOAL_CALLS[name])
                if name == "up":
                    limit = max(parts.total for parts in parts_of(instances(stack), cloud)) + empty_up
                    print(describe_phases(instances(stack)), f"  limit {limit:.1f} s", sep="\n", flush=True)
                    figure(f"pulumi up over its limit, {INSTANCES} instances", seconds / limit, "ratio", GOAL)
        early = cloud.sandbox.status()["market"]["calls_too_early"]
    turns = INSTANCES - 1 + (INSTANCES - 1) // LONGEST_ROW
    path = (turns * INTERVALS["destroy"] + Limits().look_seconds) / TIME_SCALE + empty
    print(f"destroy of {INSTANCES}: {seconds:.1f} s; its critical path {path:.1f} s, the empty run {empty:.1f} s in it")
    figure(f"destroy of {INSTANCES}, confirmed, over its critical path", seconds / path, "ratio", 1.15)
    figure(f"429s in up, refresh and destroy of {INSTANCES}", early, "", 0)


def measured(cloud: Cloud, step: Callable[[], object]) -> tuple[dict[str, int], float]:
    """Take a step, and return how many calls of each kind the market got meanwhile, and its seconds."""
    before: dict[str, int] = cloud.sandbox.status()["market"]["calls"]
    began = time.perf_counter()
    step()
    seconds = time.perf_counter() - began
    after: dict[str, int] = cloud.sandbox.status()["market"]["calls"]
    return {kind: count - before.get(kind, 0) for kind, count in after.items()}, seconds


if __name__ == "__main__":
    main()
