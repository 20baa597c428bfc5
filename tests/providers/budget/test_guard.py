"""Reserving before a rent: what fits is written down, what could pass the budget is refused, doubt is waited for."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from providers.budget.errors import OverBudget, SpendUnknown
from providers.budget.guard import PATIENCE_SECONDS, Ask, Bounds
from providers.budget.own_count import Rental
from providers.budget.reservations import Reservation
from tests.doubles.budget import FakeBook, FakeSpending, budget_of
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()
HOUR = 3600.0
CHAT = Ask("chat-1", 0.5, 0.25, 1002)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture
def market(clock: FakeClock) -> FakeMarket:
    return FakeMarket(clock)


def test_a_rent_that_fits_is_written_down_before_it_happens(clock: FakeClock, market: FakeMarket) -> None:
    book = FakeBook()

    key = budget_of(clock, 6.25, book).reserve(market, CHAT)

    one = book.book.reservations[key]
    assert (one.name, one.usd_per_hour, one.once_usd, one.machine_id) == ("chat-1", 0.5, 0.25, 1002)
    assert (one.at, one.until) == (NOON, NOON + 4 * HOUR)


def test_a_rent_that_could_pass_the_budget_is_refused_with_figures_key_and_command(
    clock: FakeClock, market: FakeMarket
) -> None:
    rented = Rental(7, "chat-0", NOON - 2 * HOUR, NOON - 2 * HOUR, usd_per_hour=1.0, ended=NOON - HOUR)
    book, spending = FakeBook(), FakeSpending({7: rented})
    market.add("gpu-fleet/s/chat-0", offer(1))
    budget_of(clock, 30, book).reserve(market, Ask("chat-2", 0.25))

    with pytest.raises(OverBudget) as refused:
        budget_of(clock, 13, book, spending).reserve(market, CHAT)

    text = str(refused.value)
    assert text.startswith(
        "chat-1: not rented, because at $0.500/h it may cost $6.25 until the UTC day ends (12.0 h and $0.25"
    )
    assert "the day's budget of $13.00 has $5.25 left" in text
    assert "$1.00 are spent by our own count, $3.75 are what runs until then, and $3.00 are reserved" in text
    assert "`pulumi config set --path gpu-fleet:budget.usdPerDay 14.01`, then `pulumi up`" in text
    assert "`gpu-fleet budget`" in text
    assert len(book.book.reservations) == 1
    assert budget_of(clock, 14.01, book, spending).reserve(market, CHAT)


def test_another_stacks_instances_and_those_of_people_do_not_count(clock: FakeClock, market: FakeMarket) -> None:
    market.add("gpu-fleet/other/chat-0", offer(1))
    market.add("mine", offer(2))

    assert budget_of(clock, 6.25).reserve(market, CHAT)


def test_a_refusal_says_which_other_offers_would_fit(clock: FakeClock, market: FakeMarket) -> None:
    with pytest.raises(OverBudget) as refused:
        budget_of(clock, 6).reserve(market, CHAT)

    assert refused.value.fits(0.4, 0.25)
    assert not refused.value.fits(0.4, 1.3)


def test_a_fleet_whose_hosts_end_sooner_asks_for_less(clock: FakeClock, market: FakeMarket) -> None:
    with pytest.raises(OverBudget):
        budget_of(clock, 2).reserve(market, CHAT)

    assert budget_of(clock, 2, bounds=Bounds(max_hours=3)).reserve(market, CHAT)


def test_what_ended_is_free_for_the_next_at_once(clock: FakeClock, market: FakeMarket) -> None:
    book = FakeBook()
    budget = budget_of(clock, 6.25, book)
    key = budget.reserve(market, CHAT)
    budget.rented(key, 501)
    with pytest.raises(OverBudget):
        budget.reserve(market, Ask("chat-2", 0.1))

    budget.given_back(501)

    assert budget.reserve(market, Ask("chat-2", 0.1))
    with pytest.raises(OverBudget):  # what the first one's traffic has cost stays spent
        budget.reserve(market, Ask("chat-3", 0.45))


def test_a_rent_that_did_not_happen_is_free_again(clock: FakeClock, market: FakeMarket) -> None:
    budget = budget_of(clock, 6.25)

    budget.withdraw(budget.reserve(market, CHAT))

    assert budget.reserve(market, CHAT)


def test_a_dead_process_on_this_computer_frees_its_reservation_once_a_list_must_show_it(
    clock: FakeClock, market: FakeMarket
) -> None:
    book = FakeBook()
    old = Reservation(
        name="chat-0", at=NOON, until=NOON + HOUR, usd_per_hour=0.5, machine_id=1, computer="here", process=2
    )
    book.book = book.book.with_reservation("old", old)
    budget = budget_of(clock, 6.25, book)
    with pytest.raises(OverBudget):
        budget.reserve(market, CHAT)
    assert book.book.reservations["old"].dead_at == NOON

    clock.sleep(101)

    assert budget.reserve(market, CHAT)


def test_the_same_reservation_of_another_computer_counts_until_it_expires(clock: FakeClock, market: FakeMarket) -> None:
    book = FakeBook()
    old = Reservation(name="chat-0", at=NOON, until=NOON + HOUR, usd_per_hour=0.5, computer="there", process=2)
    book.book = book.book.with_reservation("old", old)
    clock.sleep(HOUR - 1)
    with pytest.raises(OverBudget):
        budget_of(clock, 6.25, book).reserve(market, CHAT)

    clock.sleep(1)

    assert budget_of(clock, 6.25, book).reserve(market, CHAT)


def test_what_cannot_be_read_is_waited_for_and_then_refused(clock: FakeClock, market: FakeMarket) -> None:
    book = FakeBook()
    book.unknown = True

    with pytest.raises(SpendUnknown, match="the book cannot be read"):
        budget_of(clock, 100, book).reserve(market, CHAT)
    assert PATIENCE_SECONDS - 10 < clock.now <= PATIENCE_SECONDS

    def comes_back(_step: str) -> None:
        book.unknown = clock.now < PATIENCE_SECONDS + 30

    book.before = comes_back
    assert budget_of(clock, 100, book).reserve(market, CHAT)


def test_notes_about_a_rent_never_raise(clock: FakeClock, market: FakeMarket) -> None:
    book = FakeBook()
    budget = budget_of(clock, 100, book)
    key = budget.reserve(market, CHAT)
    book.unknown = True
    notes: list[Callable[[], None]] = [
        lambda: budget.rented(key, 501), lambda: budget.withdraw(key), lambda: budget.given_back(501)
    ]  # fmt: skip
    for note in notes:
        note()

    assert set(book.book.reservations) == {key}


def test_figures_change_nothing(clock: FakeClock, market: FakeMarket) -> None:
    book = FakeBook()
    budget = budget_of(clock, 10, book)
    budget.reserve(market, CHAT)
    before = book.book

    [day], _promises = budget.look(market)

    assert (day.budget, day.reserved, day.left) == (10, 6.25, 3.75)
    assert book.book is before
