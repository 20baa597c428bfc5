"""Attempts out of events: durations by phase, provisioning over failed attempts, failures by phase and reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.exporter.attempts import (
    RETRY_SECONDS,
    Attempt,
    Attempts,
    failures,
    last_failures,
    orphaned,
    provisioning,
)
from monitoring.exporter.sources import PHASES
from providers.ledger.event import Event, Outcome
from tests.doubles.ledger_events import NAME, attempt, event, instance


def attempts(*events: Event) -> Attempts:
    made = Attempts()
    made.add(events)
    return made


def took(known: list[Attempt]) -> list[float]:
    return [wait.seconds for wait in provisioning(known)]


def test_each_phase_lasts_from_the_end_of_the_one_before() -> None:
    one = attempts(*attempt(1000.0, phases={"rent": 2, "wait": 42, "connect": 45, "probe": 60})).all()[0]

    assert one.phase_seconds() == {"rent": 2, "wait": 40, "connect": 3, "probe": 15}
    assert took([one]) == [60]


def test_what_was_measured_counts_more_than_the_moment_of_a_line() -> None:
    *before, served = attempt(1000.0, phases={"rent": 2, "wait": 42, "start": 50, "probe": 60})
    measured = {"rent": 2.0, "wait": 40.0, "start": 17.5, "probe": 0.5, "unknown": 9.0}
    one = attempts(*before, served.model_copy(update={"phases": measured})).all()[0]

    assert one.phase_seconds() == {"rent": 2, "wait": 40, "start": 17.5, "probe": 0.5}
    assert took([one]) == [60]


def test_an_adopted_instance_says_nothing_about_how_long_provisioning_takes() -> None:
    first, *rest = attempt(1000.0, phases={"connect": 3, "probe": 5})
    known = attempts(first.model_copy(update={"outcome": Outcome.ADOPTED}), *rest).all()

    assert known[0].phase_seconds() == {}
    assert took(known) == []


def test_a_failed_attempt_right_before_belongs_to_the_wait() -> None:
    failed = attempt(1000.0, "a", phases={"rent": 1, "wait": 100}, reason="slow")
    served = attempt(1110.0, "b", phases={"rent": 1, "probe": 50})
    late = attempt(5000.0 + RETRY_SECONDS, "c", phases={"probe": 20})
    lone = attempt(4000.0, "d", phases={"rent": 1}, reason="boot")

    assert took(attempts(*failed, *served, *lone, *late).all()) == pytest.approx([160, 20])


def test_failures_are_counted_where_and_why_and_the_latest_is_known() -> None:
    known = attempts(
        *attempt(1000.0, "a", phases={"rent": 1, "wait": 9}, reason="unreachable"),
        *attempt(2000.0, "b", phases={"rent": 1, "wait": 9}, reason="unreachable"),
        *attempt(3000.0, "c", phases={}, reason="market"),
    ).all()

    assert failures(known) == {("connect", "unreachable"): 2, ("rent", "market"): 1}
    assert last_failures(known) == {NAME: "market"}
    assert (
        last_failures(attempts(*attempt(1.0, "a", phases={}, reason="boot"), *attempt(9.0, "b", phases={})).all()) == {}
    )


@given(st.permutations(attempt(1000.0, phases={phase: 10.0 * (index + 1) for index, phase in enumerate(PHASES)})))
def test_the_order_of_events_does_not_matter(events: list[Event]) -> None:
    known = attempts(*events).all()

    assert known[0].phase_seconds() == dict.fromkeys(PHASES, 10.0)
    assert took(known) == [80]


def test_two_stacks_may_have_attempts_of_the_same_name() -> None:
    known = attempts(event(1.0, "renting"), event(2.0, "renting", stack_id="other"))

    assert len(known.all()) == 2
    assert known.stack_ids() == {"stack", "other"}


def test_what_is_rented_and_not_accounted_for_is_an_orphan() -> None:
    ours = attempt(1000.0, "a", phases={"rent": 1, "probe": 5})
    gone = [*attempt(2000.0, "b", phases={"rent": 1}, reason="boot"), event(2100.0, "given-back", "b")]
    ours = [one.model_copy(update={"instance_id": 7}) for one in ours]
    gone = [one.model_copy(update={"instance_id": 8}) for one in gone]
    known = attempts(*ours, *gone).all()
    there = [instance(number) for number in (7, 8, 9)]

    assert [one.id for one in orphaned(there, known)] == [8, 9]


@pytest.mark.parametrize(
    ("events", "now", "lost"),
    [
        ([event(1000.0, "renting"), event(1001.0, "rented")], 8200.0, False),
        ([event(1000.0, "renting"), event(1001.0, "rented")], 8202.0, True),
        ([event(1001.0, "rented"), event(5000.0, "adopted", "b")], 8202.0, False),
        ([event(1001.0, "rented"), event(1100.0, "passed", phase="wait")], 9000.0, False),
        ([event(1001.0, "rented"), event(1100.0, "served")], 9000.0, False),
        ([event(1001.0, "rented"), event(1100.0, "failed", reason="boot")], 9000.0, False),
    ],
)
def test_what_boots_for_longer_than_anybody_waits_is_an_orphan(events: list[Event], now: float, lost: bool) -> None:
    there = [instance(7, actual_status="loading")]

    assert bool(orphaned(there, attempts(*events).all(), now, 7200)) == lost


def test_the_end_of_an_instance_is_no_attempt_and_what_is_rented_after_its_end_is_an_orphan() -> None:
    ours = attempt(1000.0, "a", phases={"rent": 1, "probe": 5})
    again = attempt(90_000.0, "b", phases={"rent": 1, "probe": 50}, instance_id=8)
    end = event(89_990.0, "ended", "7", seconds=88_990.0, usd=9.0)
    there = [instance(number) for number in (7, 8)]

    for order in ([*ours, end, *again], [end, *again, *ours]):
        known = attempts(*order).all()
        assert took(known) == [5, 50]
        assert [one.id for one in orphaned(there, known)] == [7]
