"""What the exporter shows of the money's worth: the command's figures, and no series for what is not known."""

from collections.abc import Collection, Sequence
from contextlib import suppress

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from config.api_prices import ApiPrice
from monitoring.exporter.sources import SourceDown
from monitoring.exporter.worth import WORTH_SECONDS, Overheard, WorthCollector, WorthTerms
from monitoring.worth.figures import Use, Work, worth
from monitoring.worth.rentals import rentals_of
from providers.ledger.event import Event
from providers.vast.api.instance import Instance
from tests.doubles.ledger_events import attempt, instance

NOON = 1_796_040_000.0
EVENTS = [
    *attempt(NOON - 7200, "a", {"rent": 10.0, "wait": 60.0, "probe": 600.0}),
    *attempt(NOON - 7300, "b", {"rent": 10.0, "wait": 60.0}, reason="slow", instance_id=8),
]
MODELS = {"chat": "llama"}
PRICES = {"llama": [ApiPrice("openai/gpt-4o-mini", 0.15, 0.60)]}
USE = Use({("chat", "llama"): Work(100, 75_000, 25_000)}, {7: 6600.0}, {7: 3600.0})


class World:
    """Sources that answer what they are set to, or are down."""

    def __init__(self) -> None:
        self.events: list[Event] = list(EVENTS)
        self.listed: list[Instance] | None = [instance(7)]
        self.use: Use | None = USE
        self.asked: list[Collection[str]] = []
        self.now = NOON
        self.taken = Overheard(self._take)
        self.inventory = Overheard(self._list)
        terms = WorthTerms(MODELS, lambda _at: PRICES)
        self.collector = WorthCollector(self.taken, self.inventory, self._ask, terms, lambda: self.now)

    def read(self) -> dict[str, str]:
        """What the exporter does each time: read the sources, then learn."""
        self.taken()
        with suppress(SourceDown):
            self.inventory()
        return self.collector.learn()

    def _take(self) -> Sequence[Event]:
        found, self.events = self.events, []
        return found

    def _list(self) -> Sequence[Instance]:
        if self.listed is None:
            raise SourceDown("market down")
        return self.listed

    def _ask(self, window: tuple[float, float], stacks: Collection[str]) -> Use:
        self.asked.append(stacks)
        assert window[1] == self.now
        if self.use is None:
            raise SourceDown("Prometheus down")
        return self.use


def samples(collector: WorthCollector) -> dict[tuple[str, ...], float]:
    registry = CollectorRegistry()
    registry.register(collector)
    text = generate_latest(registry).decode()
    rows = [row for family in text_string_to_metric_families(text) for row in family.samples]
    return {(row.name, *(row.labels[label] for label in sorted(row.labels))): row.value for row in rows}


def test_the_figures_are_those_of_the_command() -> None:
    world = World()
    assert world.read() == {}

    [row] = worth(rentals_of(EVENTS, NOON, {7}), USE, (NOON - 30 * 86_400, NOON), MODELS, PRICES)
    seen = samples(world.collector)
    parts = {key[-1]: usd for key, usd in seen.items() if key[0] == "vast_worth_usd"}
    assert parts == pytest.approx({name: getattr(row.parts, name) for name in parts})
    assert parts.keys() == {"failed", "starting", "idle", "used", "unseen"}
    assert sum(parts.values()) == pytest.approx(row.parts.paid)
    assert seen["vast_worth_always_on_usd", "chat", "llama"] == pytest.approx(row.always_on)
    assert seen["vast_worth_usd_per_request", "chat", "llama"] == pytest.approx(row.usd_per_request)
    assert seen["vast_worth_usd_per_million_tokens", "chat", "llama", "out"] == pytest.approx(
        row.usd_per_million("out")
    )
    api = ("openai/gpt-4o-mini", "chat", "llama")
    assert seen["vast_worth_api_usd", *api] == pytest.approx(row.compared[0].usd)
    assert seen["vast_worth_break_even_tokens_per_hour", *api] == pytest.approx(row.compared[0].break_even)
    assert seen["vast_worth_doubtful_rentals", "chat", "llama"] == 0
    assert world.asked == [{"stack"}]


def test_what_is_not_known_has_no_series() -> None:
    world = World()
    world.use, world.listed = None, None

    assert world.read() == {"use of the hosts": "Prometheus down"}
    seen = samples(world.collector)
    assert {key[-1] for key in seen if key[0] == "vast_worth_usd"} == {"failed", "starting", "serving"}
    assert {key[0] for key in seen} == {"vast_worth_usd", "vast_worth_doubtful_rentals"}
    assert seen["vast_worth_doubtful_rentals", "chat", "llama"] == 1


def test_before_the_ledger_was_read_nothing_is_shown() -> None:
    world = World()

    assert world.collector.learn() == {}
    assert samples(world.collector) == {}


def test_prometheus_is_asked_when_the_ledger_grew_and_every_five_minutes() -> None:
    world = World()
    world.read()
    world.now += WORTH_SECONDS - 1
    world.read()
    assert len(world.asked) == 1

    world.events = attempt(world.now, "c", {"rent": 1.0}, instance_id=9)
    world.read()
    assert len(world.asked) == 2

    world.now += WORTH_SECONDS
    world.read()
    assert len(world.asked) == 3
