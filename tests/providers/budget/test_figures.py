"""The figures of a budget and the rule over them: what is spent, runs and is reserved never passes it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.budget.errors import SpendUnknown
from providers.budget.figures import (
    MARKET,
    OWN,
    BudgetFacts,
    Figures,
    Terms,
    cost_by_period,
    does_not_fit,
    figures,
    now_missed,
    promises,
)
from providers.budget.own_count import Rental
from providers.budget.reservations import Book, Reservation
from providers.vast.api.instance import Instance

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()
HOUR = 3600.0
TERMS = Terms({"day": 20.0, "month": 300.0})


def row(number: int, name: str = "chat-0", **known: object) -> Instance:
    fields = {
        "label": f"gpu-fleet/s/{name}",
        "dph_total": 0.5,
        "start_date": NOON - 2 * HOUR,
        "machine_id": number * 10,
    }
    return Instance.model_validate({"id": number, **fields, **known})


def rental(number: int, hours: float = 2.0, **known: object) -> Rental:
    began = NOON - hours * HOUR
    return Rental(number, "chat-0", began, began, usd_per_hour=0.5, served=True, **known)  # type: ignore[arg-type]


def reservation(name: str = "chat-1", **known: object) -> Reservation:
    return Reservation.model_validate(
        {"name": name, "at": NOON - 60, "until": NOON + 4 * HOUR, "usd_per_hour": 1.0, "machine_id": 99, **known}
    )


def facts(*rows: Instance, rentals: dict[int, Rental] | None = None, **known: object) -> BudgetFacts:
    return BudgetFacts(NOON, rentals or {}, rows, NOON - 10, **known)  # type: ignore[arg-type]


def day(found: BudgetFacts, book: Book | None = None, terms: Terms = TERMS) -> Figures:
    return figures(found, promises(found, book or Book(), terms), terms)[0]


def test_what_runs_costs_until_the_period_ends() -> None:
    known = facts(row(1), rentals={1: rental(1)})

    rows = figures(known, promises(known, Book(), TERMS), TERMS)

    assert [(one.period, one.spent, one.running, one.left) for one in rows] == [
        ("day", 1.0, 6.0, 13.0),
        ("month", 1.0, 18.0, 281.0),
    ]
    assert rows[0].hours_to_go is None, "at half a dollar an hour the day ends first"
    assert day(known, terms=Terms({"day": 3.0})).hours_to_go == pytest.approx(4.0)


def test_the_larger_count_holds() -> None:
    known = facts(row(1), rentals={1: rental(1)}, charged={"day": {"chat-0": 1.5}, "month": {"chat-0": 0.5}})

    rows = figures(known, promises(known, Book(), TERMS), TERMS)

    assert [(one.spent, one.counted_by) for one in rows] == [(1.5, MARKET), (1.0, OWN)]


def test_a_reservation_counts_from_its_rent_with_its_traffic_until_it_is_listed() -> None:
    book = Book(reservations={"a": reservation(once_usd=0.25, at=NOON - HOUR)})
    listed = row(5, "chat-1", machine_id=99)

    assert day(facts(), book).reserved == pytest.approx(13 * 1.0 + 0.25)
    assert day(facts(listed), book).reserved == 0
    assert day(facts(listed), book).running == pytest.approx(0.5 * 12)


def test_a_late_list_hides_no_rented_instance() -> None:
    book = Book(reservations={"a": reservation(instance_id=5, once_usd=0.25)})

    found = day(facts(), book)

    assert found.reserved == pytest.approx(12.0)
    assert found.spent == pytest.approx(0.25 + 1 / 60), "what it has cost since its rent, with its traffic"
    assert day(facts(row(5, "chat-1", dph_total=1.0)), book).reserved == 0


def test_a_row_of_the_same_name_on_another_machine_is_another_rent() -> None:
    book = Book(reservations={"a": reservation()})

    assert day(facts(row(5, "chat-1", machine_id=7)), book).reserved == pytest.approx(12.0 + 1 / 60)


def test_one_row_settles_one_reservation() -> None:
    book = Book(reservations={"a": reservation(), "b": reservation()})

    assert day(facts(row(5, "chat-1", machine_id=99)), book).reserved == pytest.approx(12.0 + 1 / 60)


@pytest.mark.parametrize(("dead_at", "counts"), [(None, True), (NOON - 60, True), (NOON - 101, False)])
def test_the_rent_of_a_dead_process_counts_until_a_list_must_show_it(dead_at: float | None, counts: bool) -> None:
    book = Book(reservations={"a": reservation(dead_at=dead_at)})

    assert bool(day(facts(), book).reserved) == counts


def test_a_rent_of_unknown_outcome_counts_until_it_expires() -> None:
    book = Book(reservations={"a": reservation(until=NOON + 1), "b": reservation(until=NOON)})

    assert set(promises(facts(), book, TERMS).reserved) == {"a"}
    assert set(book.pruned(NOON).reservations) == {"a"}


def test_an_end_that_a_renter_saw_frees_its_money_though_a_list_still_shows_it() -> None:
    book = Book(ended={1: NOON - 30})

    found = day(facts(row(1), rentals={1: rental(1)}), book)

    assert found.running == 0
    assert found.spent == pytest.approx(0.5 * (2 - 30 / HOUR))


def test_what_the_market_lists_long_after_its_end_is_rented() -> None:
    assert day(facts(row(1), rentals={1: rental(1)}), Book(ended={1: NOON - 600})).running == pytest.approx(6.0)


def test_an_instance_that_ends_itself_costs_until_then() -> None:
    book = Book(reservations={"a": reservation("chat-0", instance_id=1, max_hours=3)})

    assert day(facts(row(1), rentals={1: rental(1)}), book).running == pytest.approx(0.5)
    late = facts(row(1, start_date=NOON - 4 * HOUR), rentals={1: rental(1, 4)})
    assert day(late, book).running == pytest.approx(6.0), "it should have ended, and has not"


def test_a_row_without_a_label_is_ours_if_the_ledger_knows_it() -> None:
    known = facts(row(1, label=None), row(2, label=None), rentals={1: rental(1)})

    assert day(known).running == pytest.approx(6.0)


def test_a_price_that_nobody_says_is_not_nought() -> None:
    known = facts(row(1, dph_total=None))

    with pytest.raises(SpendUnknown, match="instance 1 without a price"):
        promises(known, Book(), TERMS)


def test_an_instance_of_unknown_end_is_missed_once() -> None:
    known = facts(rentals={1: rental(1), 2: rental(2, ended=NOON - HOUR)})

    book = now_missed(known, Book(), promises(known, Book(), TERMS))

    assert book.missed == {1: NOON - 10}
    assert now_missed(known, book, promises(known, book, TERMS)) is book
    back = facts(row(1), rentals={1: rental(1)})
    assert now_missed(back, book, promises(back, book, TERMS)).missed == {}


def test_without_a_shared_book_each_part_counts_its_own_fleets() -> None:
    book = Book(reservations={"a": reservation("burst-s0")})
    known = facts(row(1), rentals={1: rental(1)}, charged={"day": {"burst-s1": 2.0}})
    people = Terms({"day": 20.0}, 0.75, lambda name: not name.startswith("burst"))
    slots = Terms({"day": 20.0}, 0.25, lambda name: name.startswith("burst"))

    ours, theirs = day(known, book, people), day(known, book, slots)

    assert (ours.budget, ours.spent, ours.running, ours.reserved) == (15.0, 1.0, 6.0, 0)
    assert (theirs.budget, theirs.spent, theirs.running) == (5.0, 2.0, 0)
    assert theirs.reserved == pytest.approx(12 + 1 / 60)


PRICES = st.floats(0.01, 5)


@given(
    st.lists(st.tuples(PRICES, st.floats(0, 40)), max_size=5),
    st.lists(st.tuples(PRICES, st.floats(0, 3), st.one_of(st.none(), st.floats(0.1, 48))), max_size=5),
    st.tuples(PRICES, st.floats(0, 3), st.one_of(st.none(), st.floats(0.1, 48))),
    st.floats(0, 400),
    st.floats(0, 4000),
    st.floats(-20 * 24, 20 * 24),
)
def test_a_rent_that_fits_keeps_each_period_within_its_budget_whatever_ends_or_not(
    running: list[tuple[float, float]],
    reserved: list[tuple[float, float, float | None]],
    ask: tuple[float, float, float | None],
    day_usd: float,
    month_usd: float,
    moved: float,
) -> None:
    now = NOON + moved * HOUR
    rows = [row(number, dph_total=usd, start_date=now - age * HOUR) for number, (usd, age) in enumerate(running)]

    def held(promise: tuple[float, float, float | None]) -> Reservation:
        usd, once, hours = promise
        return reservation(at=now, until=now + HOUR, usd_per_hour=usd, once_usd=once, max_hours=hours)

    book = Book(reservations={str(number): held(one) for number, one in enumerate(reserved)})
    known = BudgetFacts(now, {}, rows, now)
    terms = Terms({"day": day_usd, "month": month_usd})
    found = figures(known, promises(known, book, terms), terms)
    new = held(ask)

    over = does_not_fit(new, found)

    for one, period_usd in zip(found, (day_usd, month_usd), strict=True):
        everything_stays = (
            one.own
            + sum(usd for usd, _age in running) * one.hours_left
            + sum(promise.usd(one.hours_left) for promise in map(held, reserved))
            + cost_by_period(new, found)[one.period]
        )
        if over is None:
            assert everything_stays <= period_usd + 1e-6
        elif over.period == one.period:
            assert everything_stays > period_usd
