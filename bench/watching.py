"""What the cluster adds to a preview and an up: the same stack with and without `gpu-fleet:kubernetes`, turn by turn.

The stack has no instance, so all of it is Pulumi, the market's and the store's answers, and the API server's.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._cloud import Cloud, running_cloud
from bench._figures import figure
from sandbox.services.kubernetes import Kubernetes
from tests.doubles.pulumi_stack import watching_config

ROUNDS = 3


def main() -> None:
    """Measure and print."""
    took: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="gpu-fleet-bench-") as name,
        Kubernetes(Path(name) / "kubernetes") as kubernetes,
        running_cloud(time_scale=30.0) as cloud,
    ):
        for number in range(ROUNDS):
            for watched in (False, True):
                for what, seconds in one_life(cloud, kubernetes if watched else None, number).items():
                    took.setdefault(f"{what} {'with' if watched else 'without'}", []).append(seconds)
    medians = {what: statistics.median(each) for what, each in took.items()}
    print(", ".join(f"{what} {seconds:.1f} s" for what, seconds in sorted(medians.items())), flush=True)
    for what in ("preview", "up", "up unchanged"):
        figure(f"what the cluster adds: {what}", medians[f"{what} with"] - medians[f"{what} without"], "s", 10)


def one_life(cloud: Cloud, kubernetes: Kubernetes | None, number: int) -> dict[str, float]:
    """Time preview and up of a new stack, and an up with nothing to do."""
    with cloud.stack(replicas=0) as stack:
        if kubernetes:
            (stack.folder / "kubeconfig").write_text(kubernetes.kubeconfig())
            stack.write_config(stack.read_config() | watching_config("kubeconfig", namespace=f"watch-{number}"))
        return {
            "preview": timed(stack.preview),
            "up": timed(stack.up),
            "up unchanged": timed(lambda: stack.up("--expect-no-changes")),
        }


def timed(call: Callable[[], Any]) -> float:
    """Return the seconds of a call."""
    began = time.monotonic()
    call()
    return time.monotonic() - began


if __name__ == "__main__":
    main()
