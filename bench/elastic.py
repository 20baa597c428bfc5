"""What a claim costs in time over a person's `pulumi up`: POST /provision to served, over the `up` of the same instance.

Both are asked of a stack whose identity, bucket and blobs are there. Both rent the best offer of the same market, at its real
pace, one after the other. Neither has a preview; both make the same calls of the provider. The claim's time has more in it:
a tick of the loop, a look at the main stack, the making of the slot's stack, and two looks of the provider at the main stack.
"""

import os
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._cloud import Cloud, running_cloud
from bench._figures import figure
from bench.up import timed_up

TIME_SCALE = 1.0
GOAL = 1.15
LONGEST_S = 600
LOOK_S = 0.1


def main() -> None:
    """Measure and print."""
    with running_cloud(TIME_SCALE) as cloud:
        by_person, by_claim = of_an_update(cloud), of_a_claim(cloud)
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"load of the machine at the end: {load} on {os.cpu_count()} cores", flush=True)
    print(f"pulumi up: {by_person:.2f} s; POST /provision to served: {by_claim:.2f} s", flush=True)
    figure("POST /provision to served, over pulumi up of the same instance", by_claim / by_person, "ratio", GOAL)


def of_an_update(cloud: Cloud) -> float:
    """Return the seconds of an `up` that adds one instance."""
    with cloud.stack(replicas=0) as stack:
        stack.up()
        config = stack.read_config()
        config["gpu-fleet:fleets"]["chat"]["replicas"] = 1
        stack.write_config(config)
        return timed_up(stack)


def of_a_claim(cloud: Cloud) -> float:
    """Return the seconds from a claim to the answer that its instance serves."""
    with cloud.stack(replicas={"max": 1}) as stack:
        stack.write_config({**stack.read_config(), "gpu-fleet:clients": {"bench": {}}})
        stack.up()
        elastic = stack.outputs()["elastic"]
        cloud.sandbox.run_controller(stack.name, {**stack.env, "GPU_FLEET_PROJECT": str(stack.folder)})
        headers = {"X-API-Key": elastic["clients"]["bench"]["apiKey"]}
        url = cloud.sandbox.status()["controller"]["url"]
        try:
            with httpx.Client(base_url=url, headers=headers, timeout=30) as http:
                return seconds_to_serve(http, elastic["fleets"]["chat"]["model"])
        finally:
            cloud.sandbox.stop_controller()


def seconds_to_serve(http: httpx.Client, model: str) -> float:
    """Claim one instance, and return the seconds until it serves."""
    began = time.perf_counter()
    claim = http.post("/provision", json={"model": model}).raise_for_status().json()["id"]
    while (found := http.get(f"/provision/{claim}").raise_for_status().json())["status"] != "ready":
        if time.perf_counter() - began > LONGEST_S:
            raise SystemExit(f"the claim was not served within {LONGEST_S} s")
        time.sleep(LOOK_S)
    took = time.perf_counter() - began
    print(describe_phases(found), flush=True)
    return took


def describe_phases(claim: Mapping[str, Any]) -> str:
    """Return when each phase of a claim began, in seconds after it was made."""
    made = datetime.fromisoformat(claim["created_at"])
    begins = [
        (phase["phase"], (datetime.fromisoformat(phase["at"]) - made).total_seconds()) for phase in claim["phases"]
    ]
    return f"  seconds from the claim: {', '.join(f'{name} {seconds:.2f}' for name, seconds in begins)}"


if __name__ == "__main__":
    main()
