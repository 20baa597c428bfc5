"""What Prometheus learns from the API: calls, and the slots and claims in the store."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from controller import clients
from controller.slots import State
from controller.store.errors import StoreDown
from controller.store.store import Store

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters of this process, and gauges that are read from the store at each scrape."""

    def __init__(self, store: Store, wall: Callable[[], float]) -> None:
        self._store, self._wall = store, wall
        self.registry = CollectorRegistry()
        labels = ("method", "path", "code")
        self._calls = Counter("vast_controller_calls", "Calls of the API by answer.", labels, registry=self.registry)
        self.registry.register(self)

    def count(self, method: str, path: str, status: int) -> None:
        """Count one answer. `path` is the route's template."""
        self._calls.labels(method, path, str(status)).inc()

    def text(self) -> bytes:
        """Return the exposition."""
        return generate_latest(self.registry)

    def describe(self) -> list[Metric]:
        """Name nothing: the families depend on the store, which need not answer yet."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read slots and claims. Without the store there are none, which is not 0."""
        up = GaugeMetricFamily("vast_controller_store_up", "Whether PostgreSQL answers.")
        slots = GaugeMetricFamily("vast_controller_slots", "Slots by state.", labels=("fleet", "state"))
        claims = GaugeMetricFamily(
            "vast_controller_claimed_instances", "Instances that live claims ask for.", labels=("fleet",)
        )
        try:
            held = clients.held(self._store.claims(), self._wall())
            rows = {fleet: self._store.slots(fleet) for fleet in {*held, *self._store.fleets_with_slots()}}
        except StoreDown:
            up.add_metric((), 0)
            yield up
            return
        up.add_metric((), 1)
        for fleet, found in sorted(rows.items()):
            claims.add_metric((fleet,), held.get(fleet, 0))
            for state in State:
                slots.add_metric((fleet, state.value), sum(slot.state is state for slot in found))
        yield from (up, slots, claims)
