"""Reading what was spent: by the ledger, and by the market's charges; what cannot be read is unknown, and never nought."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from providers.budget.errors import SpendUnknown
from providers.budget.spending import CHARGES_SECONDS, LEDGER_SECONDS, OLDEST_SECONDS, StackSpending
from providers.ledger.folder_ledger import FolderLedger
from providers.store.errors import StoreUnreachable
from providers.vast.api.errors import CredentialsRefused, OutcomeUnknown
from providers.vast.api.responses import Charge
from tests.doubles.clock import FakeClock
from tests.doubles.ledger_events import charge, event

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()
HOUR = 3600.0
DAY = 24 * HOUR
SILENT = OutcomeUnknown("charges", "a timeout")


class Market:
    """Charges that a test sets, or an error; counts how often it was asked."""

    def __init__(self, *rows: Charge) -> None:
        self.answer: Any = list(rows)
        self.asked = 0

    def charges(self, _since: float, _until: float) -> list[Charge]:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return list(self.answer)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture
def ledger(tmp_path: Path) -> FolderLedger:
    return FolderLedger(tmp_path)


def today(number: int, usd: float, stack_id: str = "stack") -> Charge:
    return charge(number, NOON - 2 * HOUR, NOON - HOUR, {"gpu": usd}, stack_id)


def test_the_events_of_this_month_and_the_day_before_are_read_and_none_of_another_stack(
    clock: FakeClock, ledger: FolderLedger
) -> None:
    month = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
    for number, at in ((1, month - 2 * DAY), (2, month - HOUR), (3, NOON)):
        ledger.append(event(at, "rented", f"{number}", instance_id=number))
    ledger.append(event(NOON, "rented", "d", instance_id=4, stack_id="other"))
    ledger.append(event(NOON, "passed", "e", instance_id=5, phase="wait"))

    assert set(StackSpending(ledger, "stack", clock).rentals()) == {2, 3}


def test_the_ledger_is_read_once_a_minute(clock: FakeClock, ledger: FolderLedger) -> None:
    spending = StackSpending(ledger, "stack", clock)
    assert spending.rentals() == {}
    ledger.append(event(NOON, "rented"))

    clock.sleep(LEDGER_SECONDS - 1)
    assert spending.rentals() == {}
    clock.sleep(1)
    assert set(spending.rentals()) == {7}


def test_a_ledger_that_cannot_be_read_is_unknown(clock: FakeClock) -> None:
    class Broken(FolderLedger):
        def fresh(self, *_words: Any, **_more: Any) -> Any:
            raise StoreUnreachable("the store does not answer")

    with pytest.raises(SpendUnknown, match="the ledger cannot be read: the store does not answer"):
        StackSpending(Broken(Path("nowhere")), "stack", clock).rentals()


def test_charges_count_by_label_and_those_without_one_if_the_ledger_knows_the_instance(
    clock: FakeClock, ledger: FolderLedger
) -> None:
    ledger.append(event(NOON - 3 * HOUR, "rented", instance_id=7, name="chat-1"))
    unlabelled = [
        Charge.model_validate({**today(number, 2.0).model_dump(), "metadata": {"label": None}}) for number in (7, 8)
    ]
    spending = StackSpending(ledger, "stack", clock)
    spending.rentals()

    found = spending.charged(Market(today(1, 1.0), today(2, 8.0, "other"), *unlabelled).charges)

    assert found == {"day": {"chat-0": 1.0, "chat-1": 2.0}, "month": {"chat-0": 1.0, "chat-1": 2.0}}


@pytest.mark.parametrize("ask", [None, Market().charges])
def test_a_key_that_may_not_read_charges_leaves_our_own_count(
    clock: FakeClock, ledger: FolderLedger, ask: Callable[..., Any] | None
) -> None:
    market = Market()
    market.answer = CredentialsRefused("the key may not read charges")

    assert StackSpending(ledger, "stack", clock).charged(ask and market.charges) is None


def test_the_market_is_asked_every_five_minutes(clock: FakeClock, ledger: FolderLedger) -> None:
    spending, market = StackSpending(ledger, "stack", clock), Market(today(1, 1.0))
    for _each in range(3):
        spending.charged(market.charges)
    assert market.asked == 1

    clock.sleep(CHARGES_SECONDS)
    spending.charged(market.charges)
    assert market.asked == 2


def test_a_silent_market_leaves_its_last_answer_for_an_hour_and_then_the_spend_is_unknown(
    clock: FakeClock, ledger: FolderLedger
) -> None:
    spending, market = StackSpending(ledger, "stack", clock), Market(today(1, 1.0))
    before = spending.charged(market.charges)
    market.answer = SILENT

    clock.sleep(OLDEST_SECONDS)
    assert spending.charged(market.charges) == before
    clock.sleep(1)
    with pytest.raises(SpendUnknown, match="the market's charges are unknown"):
        spending.charged(market.charges)


def test_a_market_that_was_silent_from_the_first_is_unknown_and_answers_later(
    clock: FakeClock, ledger: FolderLedger
) -> None:
    spending, market = StackSpending(ledger, "stack", clock), Market(today(1, 1.0))
    rows, market.answer = market.answer, SILENT
    with pytest.raises(SpendUnknown):
        spending.charged(market.charges)

    market.answer = rows
    found = spending.charged(market.charges)

    assert found is not None
    assert found["day"] == {"chat-0": 1.0}
