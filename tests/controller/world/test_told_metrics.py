"""Alerts and dashboards ask for metrics that the controller tells, under the labels that it gives them."""

import re
from typing import Any, cast

from prometheus_client import CollectorRegistry

from config.elastic import Elastic
from controller.api.metrics import Metrics
from controller.memory import Memory
from controller.plan import Plan
from controller.reasons import Reason, Rule
from controller.scaling import Decision
from controller.slots import Slot, SlotEvent, State
from controller.world.metrics import LoopMetrics
from monitoring import queries
from monitoring.alerts import ALERTS
from monitoring.dashboards.elastic import ELASTIC

WORD = re.compile(rf"\b{queries.CONTROLLER}_\w+")


class Kept:
    """The part of a store that is asked at a scrape: one slot of one fleet."""

    def claims(self) -> tuple[()]:
        return ()

    def fleets_with_slots(self) -> tuple[str, ...]:
        return ("burst",)

    def slots(self, _fleet: str) -> tuple[Slot, ...]:
        return (Slot(0, State.READY),)


def told() -> dict[str, set[str]]:
    """What a controller tells after a tick: labels by name of the series."""
    api = Metrics(cast(Any, Kept()), lambda: 0.0)
    loop = LoopMetrics(api.registry)
    loop.bounds({"burst": Elastic(max=2)})
    loop.decided(Decision("burst", 1, 1, (Reason(Rule.BUDGET, "none"),), Memory()), Plan(()))
    loop.happened("burst", SlotEvent.RENT)
    loop.renewed({("burst", "burst-s0"): True})
    loop.ticked(leads=True)
    return {
        sample.name: set(sample.labels)
        for family in api.registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_every_metric_that_is_asked_for_is_told() -> None:
    asked = [alert.expression for alert in ALERTS]
    asked += [query.expression for panel in ELASTIC.panels for query in panel.queries]
    names = {name for expression in asked for name in WORD.findall(expression)}

    assert len(names) >= 9
    assert names <= told().keys()


def test_series_have_the_labels_by_which_they_are_chosen() -> None:
    found = told()

    assert found[f"{queries.CONTROLLER}_slots"] == {"fleet", "state"}
    assert found[f"{queries.CONTROLLER}_decisions_total"] == {"fleet", "event"}
    assert found[f"{queries.CONTROLLER}_lease_age_seconds"] == {"fleet", "name"}
    assert found[f"{queries.CONTROLLER}_leads"] == set()
    assert "ready" in {state.value for state in State}
    events = {event.value for event in SlotEvent}
    for asked in (queries.GREW, queries.SHRANK, queries.FAILED):
        assert set(asked.split("|")) <= events


def test_counts_of_a_fleet_begin_at_0_because_prometheus_sees_no_rise_to_a_first_value() -> None:
    registry = CollectorRegistry()
    LoopMetrics(registry).bounds({"burst": Elastic(max=2)})

    for event in SlotEvent:
        labels = {"fleet": "burst", "event": event.value}
        assert registry.get_sample_value(f"{queries.CONTROLLER}_decisions_total", labels) == 0
    assert registry.get_sample_value(f"{queries.CONTROLLER}_spend_stops_total", {"fleet": "burst"}) == 0
