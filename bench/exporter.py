"""What a scrape of the fleet exporter takes with 1,000 instances and 100,000 events of a ledger behind it, and its memory."""

import resource
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from prometheus_client import CollectorRegistry, generate_latest

from bench._figures import figure, percentile
from monitoring.exporter.collector import FleetCollector, MetricTerms
from monitoring.exporter.sources import PHASES, Sources
from providers.ledger.event import Event, Outcome, Reason
from tests.doubles.ledger_events import charge, instance

INSTANCES, EVENTS, SCRAPES = 1000, 100_000, 20
NOW = 1_772_452_800.0


def main() -> None:
    """Measure and print."""
    events = [event for number in range(EVENTS // (len(PHASES) + 2)) for event in attempt(number)]
    inventory = [instance(number, f"chat-{number}", machine_id=number) for number in range(INSTANCES)]
    charges = [charge(number, NOW - 3600, NOW, {"gpu": 0.3, "disk": 0.06}) for number in range(INSTANCES)]
    sources = Sources(lambda: events, lambda: inventory, lambda: charges)
    collector = FleetCollector(sources, MetricTerms([reason.value for reason in Reason], 300.0), lambda: NOW)
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


def attempt(number: int) -> list[Event]:
    """Return the events of an attempt that serves, of any of the instances."""
    began = NOW - 5_000_000 + number * 400
    known: dict[str, Any] = {"stack_id": "stack", "name": f"chat-{number % INSTANCES}", "attempt": f"{number:x}"}
    more: dict[str, Any] = {"instance_id": number, "machine_id": number % 500, "usd_per_hour": 0.36}
    events = [Event(at=began, outcome=Outcome.RENTING, step=1, **known)]
    for index, phase in enumerate(PHASES):
        outcome = Outcome.RENTED if phase == "rent" else Outcome.PASSED
        seconds = 10.0 * (index + 1)
        events.append(Event(at=began + seconds, outcome=outcome, step=1, phase=phase, seconds=seconds, **known, **more))
    return [*events, Event(at=began + 90, outcome=Outcome.SERVED, step=1, seconds=90.0, **known, **more)]


if __name__ == "__main__":
    main()
