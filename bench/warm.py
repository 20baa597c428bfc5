"""What a kept compile cache saves: the start of the real vLLM without and with it, on the same machine, in one run.

The fleet compiles (no --enforce-eager), as one on a GPU would. Three starts of the same instance: one that does not count,
so that all read vLLM from memory; one without a cache; one with what that one left. Phases are those in state.
"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._cloud import Cloud, instances, running_cloud
from bench._figures import figure
from tests.doubles.pulumi_stack import Stack

TIME_SCALE = 30.0
ARGUMENTS = ["--max-model-len", "512", "--dtype", "float16"]


def main() -> None:
    """Measure and print."""
    with running_cloud(TIME_SCALE, "real") as cloud:
        with cloud.stack(replicas=1, vllmArguments=ARGUMENTS) as stack:
            started(cloud, stack)
        with cloud.stack(replicas=1, vllmArguments=ARGUMENTS, warmStart=True) as stack:
            cold, _ = started(cloud, stack)
            size(stack, 0)
            stack.up()
            size(stack, 1)
            warm, output = started(cloud, stack)
    if "compile cache of an earlier start" not in output:
        raise SystemExit(f"the second start had no cache, perhaps because it was on another machine:\n{output}")
    kept = re.search(r"compile cache of an earlier start: .*", output)
    print(f"start without {cold:.1f} s, with {warm:.1f} s; {kept[0] if kept else ''}", flush=True)
    figure("start of vLLM with a kept compile cache over without", warm / cold, "ratio", 0.9)


def started(cloud: Cloud, stack: Stack) -> tuple[float, str]:
    """Bring the instance online; return the seconds of its start and its output."""
    output = stack.up().text
    (row,) = instances(stack)
    if not cloud.sandbox.status()["market"]["instances"]:
        raise SystemExit("nothing was rented")
    return float(row["phases"]["start"]), output


def size(stack: Stack, replicas: int) -> None:
    """Set how many instances the fleet has."""
    config = stack.read_config()
    config["gpu-fleet:fleets"]["chat"]["replicas"] = replicas
    stack.write_config(config)


if __name__ == "__main__":
    main()
