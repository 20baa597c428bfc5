"""Our own count of this UTC day's and month's spend, beside the market's charges. By the rules that refuse a rent."""

from collections.abc import Iterable, Sequence

from prometheus_client.metrics_core import Metric

from monitoring.metric_families import gauges
from providers.budget.own_count import COUNTED, Rental, rentals_of, spent_in, with_ends
from providers.budget.period import periods_of
from providers.ledger.event import Event
from providers.vast.api.instance import Instance

BEFORE_SECONDS = 86_400.0  # before the month: events of rents that went on into it


class OwnSpend:
    """Counts from events and inventories. `scale`: seconds of the market in one of ours. Not thread-safe."""

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale
        self._events: list[Event] = []
        self._rentals: dict[int, Rental] | None = None
        self._missed: dict[int, float] = {}  # instance of unknown end -> when a list first lacked it

    def add(self, events: Iterable[Event]) -> None:
        """Add events. Repeats do not matter."""
        fresh = [event for event in events if event.outcome in COUNTED]
        if fresh:
            self._events += fresh
            self._rentals = None

    def usd(self, rows: Sequence[Instance], now: float) -> dict[str, float]:
        """Return $ by period until `now` (unix seconds). `rows`: what the stack has rented now."""
        periods = periods_of(now)
        since = periods[-1].begins - BEFORE_SECONDS
        if self._rentals is None:
            self._events = [event for event in self._events if event.at >= since]
            self._rentals = rentals_of(self._events, self._scale)
        listed = {row.id for row in rows}
        lost = {one.instance_id for one in self._rentals.values() if one.served and one.ended is None} - listed
        self._missed = {number: self._missed.get(number, now) for number in lost}
        found = with_ends(self._rentals, rows, now, missed=self._missed, scale=self._scale).values()
        return {period.name: spent_in(period, found, now) for period in periods}

    def metric(self, rows: Sequence[Instance], now: float) -> Metric:
        """Return the gauge."""
        text = "Our own count of this UTC day and month, by the ledger, in $."
        return gauges(
            "vast_spend_own_usd", text, ("period",), {(name,): usd for name, usd in self.usd(rows, now).items()}
        )
