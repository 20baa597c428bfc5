"""Memory and processor of a controller with 50 slots that serve: `python -m controller`, as it runs beside a stack.

Real are the process, PostgreSQL, the market's HTTP and an SSH connection to each host. Played are Pulumi's command and the
hosts behind the logins (`tests/doubles/slot_world`), by other processes, which do not count. One claim asks for all slots.
The figures are of a minute in which they serve: ticks, looks at every host, lists of the market, a round of leases.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure
from bench._memory import pss_mb
from config.elastic import Elastic
from sandbox.services.postgres import Postgres
from tests.doubles.controller_process import ControllerProcess
from tests.doubles.database import fresh_database
from tests.doubles.slot_world.world import SlotWorld, running_shared, slot_world

SLOTS = 50
MEASURED_S, SETTLED_S = 60.0, 15.0
LONGEST_S = 600.0
MEMORY_GOAL_MB, PROCESSOR_GOAL = 150.0, 0.1


def main() -> None:
    """Measure and print."""
    with (
        tempfile.TemporaryDirectory(prefix="gpu-fleet-bench-") as name,
        Postgres(Path(name) / "postgres") as postgres,
        fresh_database(postgres) as dsn,
        running_shared(Path(name) / "shared") as shared,
    ):
        world = slot_world(shared, dsn, Elastic(max=SLOTS), boot_seconds=1.0)
        controller = world.process()
        controller.start()
        try:
            controller.until(controller.is_ready)
            measure(world, controller)
        finally:
            controller.kill()


def measure(world: SlotWorld, controller: ControllerProcess) -> None:
    """Claim all instances, and measure the minute after they serve."""
    asked = controller.call("POST", "/provision", model="llama-3.1-8b", count=SLOTS)
    claim = asked.raise_for_status().json()["id"]
    began = time.perf_counter()
    controller.until(lambda: controller.call("GET", f"/provision/{claim}").json()["status"] == "ready", LONGEST_S)
    served = time.perf_counter() - began
    if wrong := world.disagreements():
        raise SystemExit(f"not at rest: {wrong}")
    time.sleep(SETTLED_S)
    assert controller.process is not None
    pid = controller.process.pid
    before, ticked, at = processor_seconds(pid), ticks(controller), time.perf_counter()
    time.sleep(MEASURED_S)
    seconds = time.perf_counter() - at
    used, ticked = processor_seconds(pid) - before, ticks(controller) - ticked
    print(f"{SLOTS} slots served after {served:.0f} s; {ticked:.0f} ticks in {seconds:.0f} s", flush=True)
    figure(f"memory of a controller with {SLOTS} slots", pss_mb(pid), "MB", MEMORY_GOAL_MB)
    figure(f"processor of a controller with {SLOTS} slots", used / seconds, "cores", PROCESSOR_GOAL)


def processor_seconds(pid: int) -> float:
    """Return what a process has used so far, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ticks(controller: ControllerProcess) -> float:
    """Return how often the loop has ticked."""
    lines = controller.call("GET", "/metrics").text.splitlines()
    return float(next(line for line in lines if line.startswith("vast_controller_ticks_total")).rpartition(" ")[2])


if __name__ == "__main__":
    main()
