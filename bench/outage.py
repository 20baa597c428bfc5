"""Ten minutes without the door: what a host could not send meanwhile, and how long it takes until all of it is there."""

import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure
from bench._reporting import SCRAPE_SECONDS, reporting_host
from monitoring.prometheus import Prometheus
from sandbox.services.monitoring import Monitoring
from sandbox.settings import STACK_CONFIG
from tests.doubles.prometheus import longest_gap

OUTAGE_SECONDS = 600
PATIENCE_SECONDS = 120
METRIC = 'vast_disk_total_bytes{instance_id="4711"}'


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="gpu-fleet-bench-") as name:
        folder = Path(name)
        with (
            Monitoring(folder / "monitoring", STACK_CONFIG) as monitoring,
            reporting_host(monitoring, folder),
        ):
            measure(monitoring)


def measure(monitoring: Monitoring) -> None:
    """Take the door away, give it back, and look for gaps."""
    prometheus = Prometheus(monitoring.urls["prometheus"])
    while not prometheus.query(METRIC):
        time.sleep(0.2)
    monitoring.stop_one("door")
    down_from = time.time()
    threading.Event().wait(OUTAGE_SECONDS)
    monitoring.start_one("door")
    back_at = time.time()
    hole = longest_gap(prometheus, METRIC, down_from)
    while (
        gap := longest_gap(prometheus, METRIC, down_from)
    ) > 3 * SCRAPE_SECONDS and time.time() < back_at + PATIENCE_SECONDS:
        time.sleep(0.2)
    print(f"the gap was {hole:.0f} s when the door came back", flush=True)
    figure("longest gap that 10 minutes without the door leave, scrape every 5 s", gap, "s", 15)
    figure("until a host has caught up after 10 minutes without the door", time.time() - back_at, "s", 60)


if __name__ == "__main__":
    main()
