"""What a scrape of the fleet exporter takes with 1,000 instances and 100,000 events of a ledger behind it, and its memory."""

import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from prometheus_client import CollectorRegistry, generate_latest

from bench._figures import figure, percentile
from monitoring.exporter.collector import FleetCollector, Terms
from monitoring.exporter.sources import PHASES, Charged, Happening, Rented, Sources
from providers.ledger.event import Reason

INSTANCES, EVENTS, SCRAPES = 1000, 100_000, 20
NOW = 1_772_452_800.0


def main() -> None:
    """Measure and print."""
    events = [event for number in range(EVENTS // (len(PHASES) + 2)) for event in attempt(number)]
    inventory = [
        Rented(number, "stack", f"chat-{number}", "running", "RTX 4090", number, "Sweden, SE", 0.36)
        for number in range(INSTANCES)
    ]
    charges = [
        Charged(one.instance_id, "stack", one.name, NOW - 3600, NOW, {"gpu": 0.3, "disk": 0.06}) for one in inventory
    ]
    sources = Sources(lambda: events, lambda: inventory, lambda: charges)
    collector = FleetCollector(sources, Terms([reason.value for reason in Reason], 300.0), lambda: NOW)
    began = time.monotonic()
    collector.learn()
    learnt = time.monotonic() - began
    registry = CollectorRegistry()
    registry.register(collector)
    seconds, text = [], b""
    for _ in range(SCRAPES):
        began = time.monotonic()
        text = generate_latest(registry)
        seconds.append(time.monotonic() - began)
    series = sum(not line.startswith(b"#") for line in text.splitlines())
    print(f"{len(events)} events taken in within {learnt:.2f} s; {series} series, {len(text) / 1000:.0f} kB a scrape")
    figure("scrape of the exporter, p50, 1,000 instances and 100,000 events", percentile(seconds, 0.5), "s", 1.0)
    # The events themselves are in it, which the real one forgets once they are added up; it remembers their keys instead.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    figure("memory of the exporter with 1,000 instances and 100,000 events", peak, "MB", 200.0)


def attempt(number: int) -> list[Happening]:
    """Return the events of an attempt that serves, of any of the instances."""
    began = NOW - 5_000_000 + number * 400
    known = {"stack_id": "stack", "name": f"chat-{number % INSTANCES}", "attempt": f"{number:x}"}
    more = {"instance_id": number, "machine_id": number % 500, "usd_per_hour": 0.36}
    events = [Happening(at=began, outcome="renting", **known)]
    for index, phase in enumerate(PHASES):
        outcome = "rented" if phase == "rent" else "passed"
        seconds = 10.0 * (index + 1)
        events.append(Happening(at=began + seconds, outcome=outcome, phase=phase, seconds=seconds, **known, **more))
    return [*events, Happening(at=began + 90, outcome="served", seconds=90.0, **known, **more)]


if __name__ == "__main__":
    main()
