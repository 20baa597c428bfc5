"""Decisions in the store, the ledger and the metrics, each with its reasons; trouble of theirs holds the loop up nowhere."""

import threading
from dataclasses import dataclass, field
from typing import Any, cast

from prometheus_client import CollectorRegistry, generate_latest

from config.elastic import Elastic
from controller.memory import Memory
from controller.plan import Plan
from controller.ports import SlotId
from controller.reasons import Reason, Rule
from controller.scaling import Decision
from controller.slots import Slot, SlotEvent, State
from controller.store.errors import StoreDown
from controller.world.ledgers import Decisions
from controller.world.metrics import LoopMetrics
from controller.world.table import Table
from providers.elastic.applied import parse
from providers.ledger.event import Outcome
from tests.controller.api.test_applied_offers import OUTPUT
from tests.doubles.ledger import FakeLedger

WALL = 1_700_000_000.0
WHY = (Reason(Rule.START, "1 are missing", {"missing": 1, "who": ("ann",)}), Reason(Rule.CLAIMS, "claims ask for 1"))


@dataclass
class Kept:
    """The part of a store that is written to."""

    down: bool = False
    rows: list[Any] = field(default_factory=list)
    writes: list[Any] = field(default_factory=list)

    def record(self, records: Any) -> None:
        if self.down:
            raise StoreDown("PostgreSQL does not answer")
        self.rows += records

    def write(self, fleet: str, was: Slot, now: Slot, because: Any) -> bool:
        self.writes.append((fleet, now.index, list(because)))
        return True


@dataclass
class Here:
    """Decisions over doubles."""

    kept: Kept = field(default_factory=Kept)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    arrived: threading.Event = field(default_factory=threading.Event)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.ledger = FakeLedger(before_each=lambda _event: self.arrived.set())
        self.table = Table(cast(Any, self.kept), lambda: WALL)
        self.metrics = LoopMetrics(self.registry, lambda: self.now)
        applied = parse(OUTPUT)
        self.decisions = Decisions(self.table, self.metrics, lambda: self.ledger, lambda: applied, lambda: WALL)

    def metric(self, name: str) -> float | None:
        lines = [line for line in generate_latest(self.registry).decode().splitlines() if line.startswith(name)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines) if lines else None


def decision(desired: int, *reasons: Reason) -> Decision:
    return Decision("burst", desired, 1, reasons, Memory())


def test_a_change_of_a_row_is_kept_with_it_and_in_the_ledger_with_every_reason() -> None:
    here = Here()
    here.decisions.start()
    was, now = Slot(0), Slot(0, State.RENTING, 1)

    here.table.write("burst", was, now, SlotEvent.RENT, WHY)
    here.decisions.happened("burst", was, now, SlotEvent.RENT, WHY)

    [(_fleet, _index, [record])] = here.kept.writes
    assert (record.at, record.event, [reason["rule"] for reason in record.reasons]) == (
        WALL,
        "rent",
        ["start", "claims"],
    )
    assert here.arrived.wait(10)
    while not here.ledger.events:
        threading.Event().wait(0.01)
    [event] = here.ledger.events
    assert (event.outcome, event.name, event.stack_id, event.decision) == (Outcome.DECIDED, "burst-s0", "abc", "rent")
    assert event.reasons[0].facts == {"missing": 1, "who": ["ann"]}
    assert here.metric('vast_controller_decisions_total{event="rent",fleet="burst"}') == 1


def test_a_decision_is_noted_when_it_changes_and_not_at_each_tick() -> None:
    here = Here()
    for load in ("1 requests", "2 requests"):
        here.decisions.decided(decision(1, Reason(Rule.LOAD, load)), Plan(()))
    here.decisions.decided(decision(2, Reason(Rule.LOAD, "9 requests")), Plan(()))
    here.decisions.decided(decision(2, Reason(Rule.LOAD, "9 requests")), Plan((), (Reason(Rule.NO_ROOM, "full"),)))

    assert [row.event for row in here.kept.rows] == ["decided"] * 3
    assert here.metric("vast_controller_desired_instances") == 2


def test_the_budget_that_cuts_is_counted() -> None:
    here = Here()
    here.decisions.decided(decision(1, Reason(Rule.BUDGET, "spent")), Plan(()))
    assert (here.metric("vast_controller_spend_stops_total"), here.metric("vast_controller_spend_stopped")) == (1, 1)

    here.decisions.decided(decision(1), Plan(()))
    assert (here.metric("vast_controller_spend_stops_total"), here.metric("vast_controller_spend_stopped")) == (1, 0)


def test_progress_is_kept_by_its_phases() -> None:
    here = Here()
    for phase, text in (("rent", "offer 7"), ("wait", "it boots"), ("wait", "it still boots")):
        here.decisions.progressed(SlotId("burst", 0), phase, text)

    assert [(row.event, row.reasons) for row in here.kept.rows] == [
        ("rent", ({"says": "offer 7"},)),
        ("wait", ({"says": "it boots"},)),
    ]


def test_a_store_that_is_down_fails_nobody() -> None:
    here = Here(Kept(down=True))

    here.decisions.decided(decision(1), Plan(()))
    here.decisions.dropped("burst", 0, Reason(Rule.LATE, "late"))
    here.decisions.failed("tick", RuntimeError("no"))

    assert here.metric('vast_controller_failures_total{kind="StoreDown"}') == 2
    assert here.metric('vast_controller_failures_total{kind="RuntimeError"}') == 1
    assert here.metric("vast_controller_dropped_total") == 1


def test_the_age_of_the_last_turn_counts_from_the_start() -> None:
    here = Here()
    here.now = 30.0
    assert here.metric("vast_controller_last_tick_age_seconds") == 30.0

    here.metrics.ticked(leads=False)
    here.now = 35.0

    assert here.metric("vast_controller_last_tick_age_seconds") == 5.0
    assert here.metric("vast_controller_ticks_total") == 0


def test_a_fleet_that_is_gone_has_no_gauge() -> None:
    here = Here()
    here.metrics.bounds({"burst": Elastic(min=1, max=2)})
    here.decisions.decided(decision(1), Plan(()))
    assert (here.metric("vast_controller_min_instances"), here.metric("vast_controller_max_instances")) == (1, 2)

    here.metrics.bounds({})

    assert here.metric("vast_controller_max_instances{") is None
    assert here.metric("vast_controller_desired_instances{") is None


def test_the_age_of_each_lease_counts_from_its_last_renewal() -> None:
    here = Here()
    here.metrics.renewed({("burst", "burst-s0"): True, ("burst", "burst-s1"): False})
    here.now = 60.0
    here.metrics.renewed({("burst", "burst-s0"): True, ("burst", "burst-s1"): False})
    here.now = 70.0

    assert here.metric('vast_controller_lease_age_seconds{fleet="burst",name="burst-s0"}') == 10.0
    assert here.metric('vast_controller_lease_age_seconds{fleet="burst",name="burst-s1"}') == 70.0
    assert here.metric('vast_controller_lease_renewals_total{result="failed"}') == 2

    here.metrics.renewed({})
    assert here.metric("vast_controller_lease_age_seconds{") is None
