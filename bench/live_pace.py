"""Seconds from `rent` to an answered completion for an 8B model (16 GB) on lines of 0.5, 1 and 2 Gb/s, against 180 s.

Search, rent, wait and the host key's log are the product's own rules on the emulated market at its real pace, in virtual
time: the market pulls and unpacks vLLM's CUDA image (11.4 GB, 26 GB unpacked) over the line. What happens on the host is
reckoned:

- weights over the line: a verified fetch takes what the line takes, as bench/fetch.py measures with 1 GiB
- login, preflight, kit: what emulated hosts take, rounded up
- start: vLLM's first start as it was measured with the CPU build (67 s, 31 of them compiling), and 16 GB read from a disk
  of 2 GB/s. No GPU was measured: a larger model compiles for longer, and CUDA graphs come on top.

So the totals are what a healthy machine takes at the least. The parts say why the goal is missed.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure
from bootstrap.services import Progress
from providers.vast.api.instance import Instance
from providers.vast.create import Served, bring_online
from providers.vast.instance_request import InstanceRequest
from providers.vast.limits import Limits
from providers.vast.renting.renter import Renter
from providers.vast.search.requirements import Requirements
from providers.vast.search.start_time import transfer_seconds
from sandbox.market.records.machines import generate
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket

LINES_MBPS = (500, 1000, 2000)
GOAL_SECONDS = 180
IMAGE, WEIGHTS_GB = "vllm/vllm-openai:v0.32.0", 16.0
LOGIN, PREFLIGHT, KIT, PROBE = 2.0, 3.0, 3.0, 1.0
FIRST_START, DISK_GB_PER_SECOND = 67.0, 2.0
START_OF_CONTAINER = 30.0


class Reckoned:
    """A bootstrap that takes its time on the virtual clock, phase by phase."""

    def __init__(self, clock: FakeClock, mbps: float) -> None:
        self.clock = clock
        self.seconds = {
            "connect": LOGIN,
            "preflight": PREFLIGHT,
            "install": KIT,
            "fetch weights": transfer_seconds(WEIGHTS_GB, mbps),
            "start": FIRST_START + WEIGHTS_GB / DISK_GB_PER_SECOND,
            "probe": PROBE,
        }

    def serve(self, instance: Instance, host_key: str, report_progress: Progress, _deadline: float) -> Served:
        """Let the phases pass."""
        for phase, seconds in self.seconds.items():
            report_progress(phase, "reckoned")
            self.clock.sleep(seconds)
        return Served(instance, "https://127.0.0.1:8443", host_key, 0.0, dict(self.seconds), 0.1)


def main() -> None:
    """Play and print."""
    for mbps in LINES_MBPS:
        took, phases = pace(mbps)
        parts = ", ".join(f"{phase} {seconds:.0f}" for phase, seconds in phases.items())
        print(f"{mbps / 1000:g} Gb/s: {took:.0f} s = {parts}", flush=True)
        figure(f"8B model from rent to completion, line of {mbps / 1000:g} Gb/s", took, "s", GOAL_SECONDS)


def pace(mbps: float) -> tuple[float, dict[str, float]]:
    """Return the seconds that one instance takes on a line, all together and by phase."""
    like = next(one for one in generate(1) if one.gpu.name == "RTX 4090" and one.num_gpus == 1 and one.direct_ports > 2)
    new: dict[str, Any] = {"driver": "580.65.06", "cuda": 13.0, "inet_down": mbps, "disk_mbs": 2000.0, "disk_gb": 500.0}
    machine = replace(like, **new, boot_seconds=START_OF_CONTAINER, verification="verified", reliability=0.99)
    clock = FakeClock()
    market = FakeMarket(clock, [machine], boot_seconds=None)
    requirements = Requirements(("RTX 4090",), 1, 2.0, 48, WEIGHTS_GB)
    order = InstanceRequest("chat-0", "gpu-fleet/abc/chat-0", requirements, IMAGE, "true", 8443)
    served = bring_online(Renter(market, clock, Limits()), order, Reckoned(clock, mbps), lambda *_: None)
    return clock.now, served.seconds


if __name__ == "__main__":
    main()
