"""Our own count of spend in the exporter: by the rules of the budget, and held against the market's charges."""

import pytest

from monitoring.exporter import money
from monitoring.exporter.attempts import Attempts
from monitoring.exporter.own_spend import OwnSpend
from tests.doubles.ledger_events import attempt, charge, event, instance
from tests.monitoring.test_money import HOUR, NOON

RENTED = attempt(NOON - 4 * HOUR, "a", {"rent": 0.0, "wait": 0.0}, offer_id=1, charged_usd_per_hour=0.30)
ENDED = event(NOON - HOUR, "ended", "7", seconds=3 * HOUR, usd=1.08)


def test_what_runs_is_counted_until_now_and_what_ended_until_then() -> None:
    own = OwnSpend()
    own.add(RENTED)

    assert own.usd([instance(7)], NOON)["day"] == pytest.approx(0.36 * 4), "the row's price holds"
    own.add([ENDED])
    assert own.usd([], NOON)["day"] == pytest.approx(0.30 * 3)


def test_one_of_unknown_end_counts_until_the_first_list_that_lacks_it() -> None:
    own = OwnSpend()
    own.add(RENTED)
    own.usd([], NOON - 2 * HOUR)

    assert own.usd([], NOON)["day"] == pytest.approx(0.30 * 2)
    assert own.usd([instance(7)], NOON)["day"] == pytest.approx(0.36 * 4), "it is there again"


def test_older_months_are_dropped() -> None:
    own = OwnSpend()
    own.add([*RENTED, ENDED])
    later = NOON + 60 * 24 * HOUR

    own.add([event(later, "rented", "b", instance_id=9)])

    assert own.usd([], later) == pytest.approx({"day": 0.0, "month": 0.0})
    assert len(own._events) == 1


def test_the_drift_compares_what_served_and_ended() -> None:
    made = Attempts()
    made.add([*RENTED, ENDED])
    charged = [charge(7, NOON - 4 * HOUR, NOON - HOUR, {"gpu": 0.30 * 3 * 1.03, "bwd": 5.0})]

    found = money.drift(charged, made.all(), [], NOON)

    assert found.instances == 1
    assert found.ratio == pytest.approx(0.03)
