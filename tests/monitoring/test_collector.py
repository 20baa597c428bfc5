"""What the exporter shows: exact names, children at nought, own instances only, and last values where a source is down."""

from collections.abc import Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from monitoring.exporter.collector import FleetCollector, MetricTerms
from monitoring.exporter.sources import SourceDown, Sources
from providers.ledger.event import Event
from tests.doubles.ledger_events import attempt, charge, instance

NOON = 1_772_452_800.0
NAMES = {
    "vast_exporter_last_success_timestamp_seconds",
    "vast_exporter_stack_info",
    "vast_instance_ssh_timeout_seconds",
    "vast_budget_usd",
    "vast_market_time_scale",
    "vast_instance_provisioning_duration_seconds",
    "vast_instance_provision_failures",
    "vast_instance_bootstrap_failure_reason",
    "vast_host_score",
    "vast_instance_info",
    "vast_instance_cost_per_hour",
    "vast_instance_contract_end_timestamp_seconds",
    "vast_cost_usd",
    "vast_waste_usd",
    "vast_spend_own_usd",
    "vast_spend_usd",
    "vast_cost_drift_instances",
    "vast_cost_drift_ratio",
    "vast_fleet_price_ceiling_usd_per_hour",
    "vast_instance_orphaned",
    "vast_instance_phase_seconds",
    "vast_instance_provisioning_last_seconds",
    "vast_instance_served_timestamp_seconds",
}


class World:
    """Sources that answer what they are set to, or are down."""

    def __init__(self) -> None:
        self.events: list[Event] = attempt(NOON - 3600, phases={"rent": 1.0, "wait": 31.0, "probe": 46.0})
        self.inventory = [instance(7, 'cha"t-é-0', geolocation=", SE", end_date=NOON + 60)]
        self.charges = [charge(7, NOON - 3600, NOON, {"gpu": 0.3, "disk": 0.06})]
        self.down: set[str] = set()
        self.now = NOON

    def collector(self, terms: MetricTerms | None = None) -> FleetCollector:
        sources = Sources(self._take, lambda: self._say("inventory"), lambda: self._say("charges"))
        return FleetCollector(sources, terms or MetricTerms(("boot", "slow"), 300.0), lambda: self.now)

    def _take(self) -> Sequence[Event]:
        found, self.events = self._say("events"), []
        return found

    def _say(self, source: str) -> Any:
        if source in self.down:
            raise SourceDown(f"{source} down")
        return getattr(self, source)


def samples(collector: FleetCollector) -> dict[tuple[str, ...], float]:
    """Name and label values, by the labels' names -> value, as a scrape reads it."""
    registry = CollectorRegistry()
    registry.register(collector)
    text = generate_latest(registry).decode()
    rows = [row for family in text_string_to_metric_families(text) for row in family.samples]
    return {(row.name, *(row.labels[label] for label in sorted(row.labels))): row.value for row in rows}


def families(collector: FleetCollector) -> set[str]:
    return {family.name for family in collector.collect()}


def test_every_name_is_there_and_no_other() -> None:
    collector = World().collector(MetricTerms(("boot",), 300.0, day_usd=5.0, month_usd=100.0))
    assert collector.learn() == {}

    assert families(collector) == NAMES
    seen = samples(collector)
    assert seen["vast_cost_usd_total", "gpu"] == 0.3
    assert seen["vast_cost_usd_total", "traffic"] == 0
    assert seen["vast_waste_usd_total", "orphan"] == 0
    assert seen["vast_spend_usd", "day"] == pytest.approx(0.36)
    assert seen["vast_budget_usd", "month"] == 100
    assert seen["vast_market_time_scale",] == 1
    assert seen["vast_instance_cost_per_hour", 'cha"t-é', "7", 'cha"t-é-0'] == 0.36
    assert seen["vast_instance_ssh_timeout_seconds",] == 300
    assert seen["vast_cost_drift_ratio",] == pytest.approx(0.36 / ((3600 - 31) / 3600 * 0.36) - 1)
    assert seen["vast_instance_contract_end_timestamp_seconds", 'cha"t-é', "7", 'cha"t-é-0'] == NOON + 60
    told = {family.name: family for family in collector.collect()}["vast_instance_info"].samples[0].labels
    assert (told["location"], told["status"], told["machine_id"]) == ("SE", "running", "70")


def test_durations_are_a_histogram_by_phase() -> None:
    collector = World().collector()
    collector.learn()
    seen = samples(collector)

    name = "vast_instance_provisioning_duration_seconds"
    assert seen[f"{name}_bucket", "30.0", "all"] == 0
    assert seen[f"{name}_bucket", "60.0", "all"] == 1
    assert seen[f"{name}_bucket", "30.0", "wait"] == 1
    assert seen[f"{name}_sum", "probe"] == 15
    assert seen[f"{name}_count", "fetch weights"] == 0


def test_every_failure_has_a_child_at_nought_from_the_start() -> None:
    world = World()
    collector = world.collector()
    collector.learn()
    name = "vast_instance_provision_failures_total"
    assert samples(collector)[name, "connect", "slow"] == 0

    world.events = attempt(NOON, "b", phases={"rent": 1.0, "wait": 2.0}, reason="slow", instance_id=8)
    world.charges.append(charge(8, NOON, NOON + 9, {"gpu": 0.01}))
    collector.learn()

    seen = samples(collector)
    assert seen[name, "connect", "slow"] == 1
    assert seen["vast_instance_bootstrap_failure_reason", "chat-0", "slow"] == 1
    assert seen["vast_waste_usd_total", "failed"] == 0.01
    assert seen["vast_host_score", "70"] == 0.5


def test_what_is_another_stacks_is_not_shown() -> None:
    world = World()
    world.inventory.append(instance(9, stack_id="other", machine_id=71, dph_total=9.0))
    world.charges.append(charge(9, NOON - 3600, NOON, {"gpu": 9.0}, "other"))
    collector = world.collector()
    collector.learn()

    seen = samples(collector)
    assert seen["vast_cost_usd_total", "gpu"] == 0.3
    assert not [key for key in seen if "9" in key[1:]]


def test_a_market_that_is_down_leaves_the_last_values_and_says_since_when() -> None:
    world = World()
    collector = world.collector()
    collector.learn()
    world.down, world.now = {"inventory", "charges"}, NOON + 600
    before = samples(collector)

    assert collector.learn() == {"inventory": "inventory down", "charges": "charges down"}

    after = samples(collector)
    assert after["vast_exporter_last_success_timestamp_seconds", "ledger"] == NOON + 600
    assert after["vast_exporter_last_success_timestamp_seconds", "charges"] == NOON
    assert after["vast_cost_usd_total", "gpu"] == before["vast_cost_usd_total", "gpu"]
    assert after["vast_instance_cost_per_hour", 'cha"t-é', "7", 'cha"t-é-0'] == 0.36


def test_what_was_never_read_is_absent_and_not_nought() -> None:
    world = World()
    world.down = {"events", "inventory", "charges"}
    collector = world.collector()
    collector.learn()

    shown = {key[0] for key in samples(collector)}
    assert shown == {
        "vast_exporter_last_success_timestamp_seconds",
        "vast_instance_ssh_timeout_seconds",
        "vast_market_time_scale",
    }


def test_counters_go_on_where_they_were_after_a_restart() -> None:
    world = World()
    events = list(world.events)
    first = world.collector()
    first.learn()
    world.events = events
    second = world.collector()
    second.learn()

    counted = {key: value for key, value in samples(first).items() if key[0].endswith("_total")}
    assert counted == {key: value for key, value in samples(second).items() if key[0].endswith("_total")}
    assert counted


def test_the_latest_provisioning_of_each_instance_is_told_with_its_phases() -> None:
    world = World()
    collector = world.collector(MetricTerms((), 300.0, ceilings={"chat": 0.5}))
    collector.learn()

    found = samples(collector)

    assert found["vast_instance_provisioning_last_seconds", "chat", "chat-0"] == 46
    assert found["vast_instance_served_timestamp_seconds", "chat", "chat-0"] == NOON - 3600 + 46
    assert found["vast_instance_phase_seconds", "chat", "chat-0", "wait"] == 30
    assert found["vast_fleet_price_ceiling_usd_per_hour", "chat"] == 0.5
    assert not any(key[0] == "vast_instance_orphaned" for key in found)


def test_what_the_ledger_does_not_name_is_an_orphan() -> None:
    world = World()
    world.inventory.append(instance(8, "chat-1", machine_id=71))
    collector = world.collector()
    collector.learn()

    assert samples(collector)["vast_instance_orphaned", "chat", "8", "chat-1"] == 1


def test_what_boots_for_too_long_is_an_orphan_from_then_on() -> None:
    world = World()
    world.events = attempt(NOON - 3600, phases={"rent": 1.0})[:2]
    collector = world.collector(MetricTerms((), 300.0, abandoned_seconds=7200.0))
    collector.learn()
    assert not any(key[0] == "vast_instance_orphaned" for key in samples(collector))

    world.now += 3602

    assert samples(collector)["vast_instance_orphaned", 'cha"t-é', "7", 'cha"t-é-0'] == 1


def test_idle_waste_is_told_where_hosts_report_and_never_falls() -> None:
    world = World()
    unused = {7: 1800.0}

    def ask() -> dict[int, float]:
        if "prometheus" in world.down:
            raise SourceDown("prometheus down")
        return unused

    sources = Sources(world._take, lambda: world._say("inventory"), lambda: world._say("charges"), ask)
    collector = FleetCollector(sources, MetricTerms((), 300.0), lambda: world.now)
    world.down = {"prometheus"}
    assert collector.learn() == {"prometheus": "prometheus down"}
    assert ("vast_waste_usd_total", "idle") not in samples(collector)
    assert samples(collector)["vast_cost_drift_instances",] == 1  # needs no host to report

    world.down = set()
    collector.learn()
    assert samples(collector)["vast_waste_usd_total", "idle"] == pytest.approx(0.18)
    unused[7] = 60.0  # Prometheus has forgotten
    collector.learn()
    assert samples(collector)["vast_waste_usd_total", "idle"] == pytest.approx(0.18)
    assert ("vast_exporter_last_success_timestamp_seconds", "prometheus") in samples(collector)
