"""A person's `pulumi up` of the main stack while the controller scales, over the same `up` while the controller rests.

Both are of one stack with its controller beside it, in turn, with the real engine and emulated hosts. While it scales,
claims come and go, so that a slot's stack boots or ends all the time. A lock that a slot holds is its own stack's, so no `up`
may be refused. What is left of the ratio is the processor, which the person's engine and the slot's share.
"""

import statistics
import sys
import threading
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._cloud import Cloud, running_cloud
from bench._figures import figure
from bench.elastic import seconds_to_serve
from bench.up import timed_up
from controller.slot_lock import LOCKED
from tests.doubles.pulumi_stack import EngineError, Stack

TIME_SCALE = 30.0
ROUNDS, UPS = 2, 3  # of rest and of scaling; `up`s in each
GOAL = 1.1
LOOK_S = 0.2


class Scaling:
    """Claims an instance, gives it back and claims the next one, until it is told to rest."""

    def __init__(self, http: httpx.Client, model: str) -> None:
        self._http, self._model = http, model
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.served = 0

    def __enter__(self) -> "Scaling":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        while any(self._http.get("/fleets").json()[0]["slots"].values()):
            self._over.wait(LOOK_S)

    def _run(self) -> None:
        while not self._over.is_set():
            seconds_to_serve(self._http, self._model)
            self.served += 1
            for claim in self._http.get("/provision").json():
                self._http.delete(f"/provision/{claim['id']}")


def main() -> None:
    """Measure and print."""
    with running_cloud(TIME_SCALE) as cloud:
        measure(cloud)


def measure(cloud: Cloud) -> None:
    """Run `up`s at rest and beside scaling, in turn."""
    quick = {"max": 2, "downSeconds": 0, "idleSeconds": 0}
    with cloud.stack(replicas=quick) as stack:
        stack.write_config({**stack.read_config(), "gpu-fleet:clients": {"bench": {}}})
        stack.up()
        elastic = stack.outputs()["elastic"]
        cloud.sandbox.run_controller(stack.name, {**stack.env, "GPU_FLEET_PROJECT": str(stack.folder)})
        headers = {"X-API-Key": elastic["clients"]["bench"]["apiKey"]}
        url = cloud.sandbox.status()["controller"]["url"]
        alone, beside, served = list[float](), list[float](), 0
        refused = 0
        try:
            with httpx.Client(base_url=url, headers=headers, timeout=30) as http:
                for _round in range(ROUNDS):
                    alone += [timed_up(stack) for _ in range(UPS)]
                    with Scaling(http, elastic["fleets"]["chat"]["model"]) as scaling:
                        for _ in range(UPS):
                            seconds = beside_scaling(stack)
                            refused += seconds is None
                            beside += [] if seconds is None else [seconds]
                    served += scaling.served
        finally:
            cloud.sandbox.stop_controller()
    print(f"up at rest: {shown(alone)}; beside scaling: {shown(beside)}; {served} claims were served", flush=True)
    figure("pulumi up refused for a lock while the controller scales", refused, "", 0)
    figure(
        "pulumi up while the controller scales, over it at rest",
        statistics.median(beside) / statistics.median(alone),
        "ratio",
        GOAL,
    )


def beside_scaling(stack: Stack) -> float | None:
    """Return the seconds of an `up`; None if it was refused for a lock."""
    try:
        return timed_up(stack)
    except EngineError as error:
        if LOCKED in str(error):
            return None
        raise


def shown(seconds: list[float]) -> str:
    """Return seconds for people."""
    return ", ".join(f"{each:.2f}" for each in seconds) + " s"


if __name__ == "__main__":
    main()
