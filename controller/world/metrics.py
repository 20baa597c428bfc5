"""What Prometheus learns from the loop: ticks, counts desired and there, decisions, failures, stops by the budget."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from config.elastic import Elastic
from controller.plan import Plan
from controller.ports import SlotId
from controller.reasons import Reason, Rule
from controller.scaling import Decision
from controller.slots import SlotEvent

MONEY = frozenset({Rule.BUDGET, Rule.SPEND_UNKNOWN})


class LoopMetrics:
    """Counters and gauges of one controller process. Thread-safe."""

    def __init__(self, registry: CollectorRegistry, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._ticked: float | None = None
        self._began = monotonic()
        self._phases: dict[SlotId, str] = {}
        self._guard = threading.Lock()

        def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"vast_controller_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(f"vast_controller_{name}", text, labels, registry=registry)

        self._ticks = counter("ticks", "Ticks of the loop that came to their end.")
        self._leads = gauge("leads", "Whether this process decides; of several controllers one does.")
        self._desired = gauge("desired_instances", "Instances that an elastic fleet should have.", ("fleet",))
        self._capacity = gauge("capacity_instances", "Instances that serve or boot.", ("fleet",))
        self._most = gauge("max_instances", "Most instances by the applied bounds.", ("fleet",))
        self._decisions = counter("decisions", "Changes of slots, by what happened.", ("fleet", "event"))
        self._dropped = counter("dropped", "Decisions that were not done any more, by why.", ("fleet", "rule"))
        self._failures = counter("failures", "Parts of the loop's work that failed, by class.", ("kind",))
        self._stops = counter("spend_stops", "Decisions that the budget cut.", ("fleet",))
        self._stopped = gauge("spend_stopped", "Whether the budget cuts the count now.", ("fleet",))
        self._least = gauge("min_instances", "Fewest instances by the applied bounds.", ("fleet",))
        self._leased: dict[tuple[str, str], float] = {}  # (fleet, instance) -> when its lease was renewed last
        self._renewals = counter("lease_renewals", "Renewals of slots' leases, by how they ended.", ("result",))
        registry.register(self)

    def ticked(self, leads: bool) -> None:
        """Note the end of a turn; `leads`: it ticked."""
        self._leads.set(leads)
        if leads:
            self._ticks.inc()
        self._ticked = self._monotonic()

    def bounds(self, fleets: Mapping[str, Elastic]) -> None:
        """Note the applied bounds; fleets that are gone have no gauges any more."""
        for gauge in (self._least, self._most, self._desired, self._capacity, self._stopped):
            for fleet in [metric.labels["fleet"] for family in gauge.collect() for metric in family.samples]:
                if fleet not in fleets:
                    gauge.remove(fleet)
        for fleet, elastic in fleets.items():
            self._least.labels(fleet).set(elastic.min)
            self._most.labels(fleet).set(elastic.max)
            self._stops.labels(fleet)  # from 0 on: Prometheus sees no rise to a first value
            for event in SlotEvent:
                self._decisions.labels(fleet, event.value)

    def decided(self, decision: Decision, plan: Plan) -> None:
        """Note how many instances a fleet should have."""
        self._desired.labels(decision.fleet).set(decision.desired)
        self._capacity.labels(decision.fleet).set(decision.capacity)
        cut = any(reason.rule in MONEY for reason in (*decision.reasons, *plan.held))
        self._stopped.labels(decision.fleet).set(cut)
        if cut:
            self._stops.labels(decision.fleet).inc()

    def happened(self, fleet: str, event: SlotEvent) -> None:
        """Note a change of a slot."""
        self._decisions.labels(fleet, event.value).inc()

    def dropped(self, fleet: str, reason: Reason) -> None:
        """Note a decision that the loop dropped."""
        self._dropped.labels(fleet, reason.rule.value).inc()

    def failed(self, error: Exception) -> None:
        """Note a failure."""
        self._failures.labels(type(error).__name__).inc()

    def renewed(self, leases: Mapping[tuple[str, str], bool]) -> None:
        """Note a round of renewals, by fleet and instance. One that is seen for the first time counts from now."""
        now = self._monotonic()
        with self._guard:
            self._leased = {who: now if good else self._leased.get(who, now) for who, good in leases.items()}
        for good in leases.values():
            self._renewals.labels("renewed" if good else "failed").inc()

    def is_new_phase(self, place: SlotId, phase: str) -> bool:
        """Return whether a slot has come to another phase since the last call."""
        with self._guard:
            was, self._phases[place] = self._phases.get(place), phase
        return was != phase

    def describe(self) -> list[Metric]:
        """Name nothing."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Tell the age of the last turn, counted from the start until there was one."""
        text = "Seconds since the loop's last turn ended; a controller that stands by also turns."
        age = GaugeMetricFamily("vast_controller_last_tick_age_seconds", text)
        age.add_metric((), self._monotonic() - (self._began if self._ticked is None else self._ticked))
        yield age
        text = "Seconds since this process renewed the lease of a slot's host last."
        leases = GaugeMetricFamily("vast_controller_lease_age_seconds", text, labels=("fleet", "name"))
        with self._guard:
            for who, at in self._leased.items():
                leases.add_metric(who, self._monotonic() - at)
        yield leases
