"""Shows what the money of the last days bought, by the same rules as `gpu-fleet worth`.

It reads the ledger and the inventory when the exporter does, and works the figures out anew when the ledger grew, and
every WORTH_SECONDS. A figure that is not known has no series.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from config.api_prices import ApiPrice
from monitoring.exporter.sources import SourceDown
from monitoring.metric_families import gauges
from monitoring.worth.figures import Use, Worth, worth
from monitoring.worth.rentals import rentals_of
from providers.budget.own_count import COUNTED
from providers.ledger.event import Event
from providers.vast.api.instance import Instance

DAYS = 30.0
WORTH_SECONDS = 300.0
WHO = ("fleet", "model")
Answer = TypeVar("Answer")
AskUse = Callable[[tuple[float, float], Collection[str]], Use]  # of a window, and of stacks by their ids


class Overheard(Generic[Answer]):
    """A source that keeps its last answer for others; None if it failed."""

    def __init__(self, ask: Callable[[], Answer]) -> None:
        self._ask = ask
        self.last: Answer | None = None

    def __call__(self) -> Answer:
        """Ask the source."""
        self.last = None
        self.last = self._ask()
        return self.last


@dataclass(frozen=True)
class WorthTerms:
    """What config says: the model of each fleet, list prices by model as of a moment, and the market's clock."""

    models: Mapping[str, str] = field(default_factory=dict)
    prices: Callable[[float], Mapping[str, Sequence[ApiPrice]]] = lambda _at: {}
    scale: float = 1.0


class WorthCollector(Collector):
    """`learn` works the figures out after the exporter has read its sources; `collect` shows them. Thread-safe.

    `use` asks Prometheus, and raises SourceDown; None without one. `now` returns unix seconds.
    """

    def __init__(
        self,
        events: Overheard[Sequence[Event]],
        inventory: Overheard[Sequence[Instance]],
        use: AskUse | None,
        terms: WorthTerms,
        now: Callable[[], float],
    ) -> None:
        self._fresh, self._inventory, self._use = events, inventory, use
        self._terms, self._now = terms, now
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._rows: Sequence[Worth] = ()
        self._worked_at = float("-inf")

    def learn(self) -> dict[str, str]:
        """Work the figures out if it is time. Return the error message by source, of sources that failed."""
        fresh = [
            event for event in self._fresh.last or () if event.outcome in COUNTED and event.instance_id is not None
        ]
        self._fresh.last = None
        self._events += fresh
        now = self._now()
        if not self._events or (not fresh and now - self._worked_at < WORTH_SECONDS):
            return {}
        window, use, troubles = (now - DAYS * 86_400, now), None, {}
        try:
            use = self._use(window, {event.stack_id for event in self._events}) if self._use else None
        except SourceDown as down:
            troubles["use of the hosts"] = str(down)
        rows_of_market = self._inventory.last
        listed = None if rows_of_market is None else {row.id for row in rows_of_market}
        rentals = rentals_of(self._events, now, listed, self._terms.scale)
        rows = worth(rentals, use, window, self._terms.models, self._terms.prices(now))
        with self._lock:
            self._rows = rows
        self._worked_at = now
        return troubles

    def collect(self) -> Iterable[Metric]:
        """Return every family, from the figures that were last worked out."""
        with self._lock:
            rows = self._rows
        return list(_families(rows))


def _families(rows: Sequence[Worth]) -> Iterable[Metric]:
    parts = {
        (row.fleet, row.model, name): usd
        for row in rows
        for name in ("failed", "starting", "idle", "used", "unseen")
        if (usd := getattr(row.parts, name)) is not None
    }
    serving = {(row.fleet, row.model, "serving"): row.parts.serving for row in rows if row.parts.idle is None}
    text = f"$ of the last {DAYS:g} days by what they bought; serving where use is not known."
    yield gauges("vast_worth_usd", text, (*WHO, "part"), parts | serving)
    yield _known(
        "vast_worth_always_on_usd", "$ of the most that served at once, always on.", rows, lambda row: row.always_on
    )
    yield _known("vast_worth_usd_per_request", "$ for an answered request.", rows, lambda row: row.usd_per_request)
    yield _known(
        "vast_worth_tokens_per_hour", "Tokens in an hour of an instance.", rows, lambda row: row.tokens_per_hour
    )
    yield gauges(
        "vast_worth_usd_per_million_tokens",
        "$ for a million tokens: both kinds together, or all of it on one kind.",
        (*WHO, "side"),
        {
            (row.fleet, row.model, side): usd
            for row in rows
            for side in ("both", "in", "out")
            if (usd := row.usd_per_million(side)) is not None
        },
    )
    compared = [(row, one) for row in rows for one in row.compared]
    labels = (*WHO, "compared_with")
    yield gauges(
        "vast_worth_api_usd",
        "What a hosted API asks for the same tokens, in $, by list prices.",
        labels,
        {(row.fleet, row.model, one.name): one.usd for row, one in compared if one.usd is not None},
    )
    yield gauges(
        "vast_worth_break_even_tokens_per_hour",
        "Tokens an hour from which on an instance is cheaper than a hosted API.",
        labels,
        {(row.fleet, row.model, one.name): one.break_even for row, one in compared if one.break_even is not None},
    )
    doubtful = {(row.fleet, row.model): float(len(row.doubts)) for row in rows}
    yield gauges("vast_worth_doubtful_rentals", "Rentals that may have cost more than is known.", WHO, doubtful)


def _known(name: str, text: str, rows: Sequence[Worth], figure: Callable[[Worth], float | None]) -> Metric:
    values = {(row.fleet, row.model): usd for row in rows if (usd := figure(row)) is not None}
    return gauges(name, text, WHO, values)
