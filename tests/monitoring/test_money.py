"""Money: kinds sum to the bill, waste is a part of it, days and months are UTC's, and our own count is held against it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.exporter import money
from monitoring.exporter.attempts import Attempt, Attempts
from monitoring.exporter.market_time import MarketTime
from monitoring.exporter.sources import SourceDown
from providers.ledger.event import Event
from providers.vast.api.charge_cache import SETTLED_SECONDS, ChargeCache
from providers.vast.api.responses import Charge
from providers.vast.api.spend import charged_total, spent
from tests.doubles import ledger_events
from tests.doubles.ledger_events import attempt, event, instance

HOUR = 3600.0
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()
USD = st.dictionaries(st.sampled_from(["gpu", "disk", "bwd", "bwu", "new"]), st.floats(0, 100), max_size=5)


def charge(number: int = 7, start: float = NOON - HOUR, end: float = NOON, **usd: float) -> Charge:
    return ledger_events.charge(number, start, end, usd or {"gpu": 0.36})


def known(*events: Event) -> list[Attempt]:
    made = Attempts()
    made.add(events)
    return made.all()


CHARGES = st.builds(
    ledger_events.charge,
    st.integers(1, 9),
    st.floats(NOON - 100 * HOUR, NOON - HOUR),
    st.floats(NOON - HOUR, NOON),
    USD,
)
EVENTS = known(
    *attempt(NOON - 50 * HOUR, "a", {"rent": 1.0}, reason="slow", instance_id=1),
    *attempt(NOON - 49 * HOUR, "b", {"rent": 1.0}, instance_id=2),
)


@given(st.lists(CHARGES))
def test_kinds_sum_to_the_bill_and_waste_is_a_part_of_it(charges: list[Charge]) -> None:
    bill = sum(charged_total(one) for one in charges)

    assert sum(money.cost(charges).values()) == pytest.approx(bill)
    assert 0 <= sum(money.waste(charges, EVENTS).values()) <= bill + 1e-9
    assert 0 <= sum(money.waste(charges, EVENTS, {1: HOUR, 2: 9 * HOUR, 5: 1.0}).values()) <= bill + 1e-9
    periods = spent(charges, NOON)
    assert 0 <= periods["day"] <= periods["month"] + 1e-9 <= bill + 2e-9


def test_traffic_is_both_directions() -> None:
    assert money.cost([charge(gpu=1.0, disk=0.5, bwd=0.2, bwu=0.1)]) == {
        "gpu": 1.0,
        "disk": 0.5,
        "traffic": pytest.approx(0.3),
    }


def test_what_never_served_is_waste_and_so_is_what_nobody_wrote_down() -> None:
    charges = [charge(1, gpu=1.0), charge(2, gpu=2.0), charge(3, gpu=4.0), charge(4, start=NOON - 60 * HOUR, gpu=8.0)]

    assert money.waste(charges, EVENTS) == {"failed": 1.0, "orphan": 4.0}
    assert money.waste(charges, []) == {"failed": 0.0, "orphan": 0.0}


def test_idle_is_the_unused_share_of_what_served_and_of_nothing_else() -> None:
    charges = [charge(1, gpu=1.0), charge(2, gpu=2.0), charge(3, gpu=4.0)]

    idle = money.waste(charges, EVENTS, {1: HOUR, 2: HOUR / 4, 3: HOUR})
    assert idle == {"failed": 1.0, "orphan": 4.0, "idle": 0.5}
    assert money.waste(charges, EVENTS, {}) == {"failed": 1.0, "orphan": 4.0, "idle": 0.0}
    assert money.waste(charges, EVENTS, {2: 9 * HOUR})["idle"] == 2.0


def test_a_charge_over_midnight_counts_by_its_share() -> None:
    midnight = datetime(2026, 3, 2, tzinfo=UTC).timestamp()
    first = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    over_day = charge(start=midnight - HOUR, end=midnight + 3 * HOUR, gpu=4.0)
    over_month = charge(start=first - HOUR, end=first + HOUR, gpu=2.0)

    assert spent([over_day, over_month], NOON) == pytest.approx({"day": 3.0, "month": 5.0})


def test_our_count_is_compared_where_both_are_known() -> None:
    there = instance(8, "chat-1")
    ours = known(
        *attempt(NOON - 5 * HOUR, "a", {"rent": 99.0}, reason="slow", instance_id=7),
        *attempt(NOON - 2 * HOUR, "b", {"rent": 0.0}, instance_id=8),
        *attempt(NOON - 9 * HOUR, "c", {"rent": 0.0}, instance_id=9),
    )
    charges = [charge(7, gpu=0.011), charge(8, gpu=0.792), charge(9, gpu=50.0)]

    found = money.drift(charges, ours, [there], NOON)

    assert found.instances == 2
    assert found.ratio == pytest.approx(0.803 / (0.01 + 0.72) - 1)
    assert money.drift(charges, ours, [there], NOON, MarketTime(2.0)).ratio == pytest.approx(0.803 / 1.46 - 1)
    ratio: Any = pytest.approx(0.75 / 0.72 - 1)
    assert money.drift([charge(8, gpu=0.72, disk=0.03, bwd=9.0, bwu=9.0)], ours, [there], NOON) == money.Drift(1, ratio)
    assert money.drift([], ours, [there], NOON) == money.Drift(0, None)


def test_charges_that_are_settled_are_not_asked_for_again() -> None:
    market = {1: charge(1, NOON - 90 * 24 * HOUR, NOON - 80 * 24 * HOUR), 2: charge(2)}
    asked: list[float] = []

    def ask(since: float, until: float) -> list[Charge]:
        asked.append(since)
        if not market:
            raise SourceDown("no market")
        return [one for one in market.values() if one.end >= since and one.start <= until]

    charges = ChargeCache(ask, since=0.0, now=lambda: NOON)
    assert len(charges()) == 2
    market[2] = charge(2, end=NOON + HOUR, gpu=0.72)
    assert sorted(charged_total(one) for one in charges()) == [0.36, 0.72]
    assert asked == [0.0, NOON - SETTLED_SECONDS]
    market.clear()
    with pytest.raises(SourceDown):
        charges()
    market[3] = charge(3)
    assert len(charges()) == 3


def test_an_event_alone_is_no_attempt_of_known_cost() -> None:
    assert money.drift([charge()], known(event(NOON, "served")), [], NOON).ratio is None
