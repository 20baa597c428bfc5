"""Measure the controller as a pod on the real node: seconds until it is ready, and from a claim until an instance serves."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure
from tests.doubles.controlled_node import SLOT_SECONDS, running_controller
from tests.doubles.pulumi_stack import path_with_engine
from tests.doubles.real_node import REPO, images, images_of_controller
from tests.doubles.until import until


def main() -> None:
    """Print the figures. What lacks of the node is built first, which takes half an hour."""
    if not images() or not images_of_controller():
        parts = "node,controller-image"
        subprocess.run([sys.executable, "-m", "tools.setup", "--parts", parts], cwd=REPO, check=True)
    path = path_with_engine(os.environ)
    assert path is not None, "no Pulumi engine here: `make setup` brings one"
    with tempfile.TemporaryDirectory() as name, running_controller(Path(name), path) as controlled:
        began, claim = time.monotonic(), controlled.claimed()
        last = controlled.followed(claim)
        seconds = time.monotonic() - began
        assert last == "ready", controlled.said()
        controlled.call("DELETE", f"/provision/{claim}")
        until(lambda: not controlled.cloud.rented(), "an empty account", SLOT_SECONDS)
        controlled.stack.destroy()
        left = len(controlled.cloud.rented())
    print(f"load {os.getloadavg()[0]:.1f} at the end", file=sys.stderr)
    figure("controller as a pod, from `pulumi up` to ready pods", controlled.seconds, "s", 60)
    figure("controller as a pod, from a claim to an instance that serves", seconds, "s", 60)
    figure("controller as a pod, rented after the claim has ended", left, "", 0)


if __name__ == "__main__":
    main()
