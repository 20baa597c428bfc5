"""Our own count of spend: rents, starts and ends of the ledger, and what the market's list adds."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.budget.own_count import LAG_SECONDS, SILENT_SECONDS, rentals_of, spent_in, with_ends
from providers.budget.period import Period
from providers.ledger.event import Event
from providers.vast.api.instance import Instance
from providers.vast.api.label import Label
from tests.doubles.ledger_events import event

BEGIN = 1_700_000_000.0
HOUR = 3600.0
EVER = Period("month", BEGIN - 40 * 24 * HOUR, BEGIN + 40 * 24 * HOUR)
LAG = 0.36 * LAG_SECONDS / HOUR  # what the market may have billed before we saw an instance run
PRICE = {"usd_per_hour": 0.40, "charged_usd_per_hour": 0.36, "offer_id": 3}


def rented(began: float, **known: object) -> Event:
    return event(began, "rented", "a", step=2, **PRICE, **known)


def served(at: float, usd: float, **known: object) -> Event:
    return event(at, "served", "a", step=9, seconds=at - BEGIN, usd=usd, **PRICE, **known)


def row(number: int = 7, **known: object) -> Instance:
    return Instance.model_validate({"id": number, "label": str(Label("stack", "chat-0")), "dph_total": 0.36, **known})


def usd(events: Sequence[Event], now: float, period: Period = EVER) -> float:
    return spent_in(period, rentals_of(events).values(), now)


def test_a_served_instance_costs_what_its_start_did_and_then_its_price_without_the_spread_of_its_download() -> None:
    events = [
        rented(BEGIN, image_usd=0.01, traffic_usd=0.05),
        served(BEGIN + 600, 0.04, image_usd=0.01, traffic_usd=0.05),
    ]

    assert usd(events, BEGIN + 600 + HOUR) == pytest.approx(0.04 + LAG + 0.05 + 0.36)


def test_before_anything_is_known_of_its_start_it_costs_its_whole_price_and_all_traffic() -> None:
    assert usd([rented(BEGIN, image_usd=0.01, traffic_usd=0.05)], BEGIN + HOUR) == pytest.approx(0.42)


def test_an_attempt_that_was_given_back_costs_what_it_counted_and_ends() -> None:
    back = event(BEGIN + 900, "given-back", "a", step=5, usd=0.02, image_usd=0.01, **PRICE, traffic_usd=0.05)

    assert usd([rented(BEGIN, image_usd=0.01, traffic_usd=0.05), back], BEGIN + 9 * HOUR) == pytest.approx(0.02 + LAG)


def test_one_that_failed_after_the_download_has_paid_for_it() -> None:
    known = {"usd": 0.02, "image_usd": 0.01, "phase": "start", "traffic_usd": 0.05}
    back = event(BEGIN + 900, "given-back", "a", step=5, **known, **PRICE)

    assert usd([rented(BEGIN, image_usd=0.01, traffic_usd=0.05), back], BEGIN + HOUR) == pytest.approx(0.07 + LAG)


def test_the_first_word_of_an_end_counts() -> None:
    ends = [event(BEGIN + at, "ended", "7", seconds=at, usd=1.0) for at in (2 * HOUR, 3 * HOUR)]

    assert usd([rented(BEGIN), served(BEGIN, 0), *ends], BEGIN + 9 * HOUR) == pytest.approx(0.72)


def test_an_end_whose_rent_is_older_than_what_was_read_counts_for_its_whole_time_within_the_period() -> None:
    end = event(BEGIN + HOUR, "ended", "7", seconds=10 * HOUR, usd=3.6)

    assert usd([end], BEGIN + 9 * HOUR) == pytest.approx(3.6)
    assert usd([end], BEGIN + 9 * HOUR, Period("day", BEGIN, BEGIN + 24 * HOUR)) == pytest.approx(0.36)


def test_a_price_that_the_landlord_raised_counts() -> None:
    found = with_ends(rentals_of([rented(BEGIN), served(BEGIN, 0)]), [row(dph_total=0.72)], BEGIN + HOUR)

    assert spent_in(EVER, found.values(), BEGIN + HOUR) == pytest.approx(0.72)


@pytest.mark.parametrize("unknown", [None, 0.0])
def test_a_row_without_a_price_keeps_that_of_the_ledger(unknown: float | None) -> None:
    found = with_ends(rentals_of([rented(BEGIN), served(BEGIN, 0)]), [row(dph_total=unknown)], BEGIN + HOUR)

    assert spent_in(EVER, found.values(), BEGIN + HOUR) == pytest.approx(0.36)


def test_an_instance_that_only_the_market_knows_costs_from_its_start_on() -> None:
    found = with_ends({}, [row(9, start_date=BEGIN)], BEGIN + 2 * HOUR)

    assert found[9].name == "chat-0"
    assert spent_in(EVER, found.values(), BEGIN + 2 * HOUR) == pytest.approx(0.72)


def test_one_of_unknown_end_counts_until_a_list_first_lacked_it() -> None:
    known = rentals_of([rented(BEGIN), served(BEGIN, 0)])

    for missed, hours in (({}, 5), ({7: BEGIN + 3 * HOUR}, 3)):
        found = with_ends(known, [], BEGIN + 5 * HOUR, missed=missed)
        assert spent_in(EVER, found.values(), BEGIN + 5 * HOUR) == pytest.approx(0.36 * hours)


def test_one_that_never_served_and_is_not_listed_ends_itself_within_the_hour() -> None:
    found = with_ends(rentals_of([rented(BEGIN)]), [], BEGIN + 9 * HOUR)

    assert found[7].ended == BEGIN + SILENT_SECONDS


def test_what_the_market_billed_before_its_answer_counts_at_the_whole_price() -> None:
    back = event(BEGIN + 900, "given-back", "a", step=5, usd=0.01, **PRICE)

    assert usd([rented(BEGIN, seconds=100), back], BEGIN + HOUR) == pytest.approx(0.01 + LAG + 0.36 * 100 / HOUR)
    quick = event(BEGIN + 50, "given-back", "a", step=5, usd=0.01, **PRICE)
    assert usd([rented(BEGIN, seconds=100), quick], BEGIN + HOUR) == pytest.approx(0.40 * 150 / HOUR), "and no more"


def test_a_market_whose_clock_runs_faster_charges_as_much_more_but_for_traffic() -> None:
    events = [rented(BEGIN, image_usd=0.01), served(BEGIN + 60, 0.02, image_usd=0.01, traffic_usd=0.05)]

    found = rentals_of(events, scale=30.0)

    assert spent_in(EVER, found.values(), BEGIN + 60 + HOUR) == pytest.approx(
        0.40 * 30 * 60 / HOUR + 0.01 + 0.05 + 0.36 * 30
    )


HISTORIES = st.lists(
    st.tuples(
        st.integers(1, 4), st.sampled_from(["rented", "served", "given-back", "ended", "failed"]), st.floats(0, 9e5)
    ),
    max_size=12,
)


@given(HISTORIES, st.randoms(use_true_random=False))
def test_order_and_repeats_do_not_matter(history: list[tuple[int, str, float]], chance: object) -> None:
    events = [
        event(BEGIN + round(at), what, f"{number:x}{step}", step=step, instance_id=number, seconds=round(at), **PRICE)
        for step, (number, what, at) in enumerate(history)
    ]
    mixed = [*events, *events[:3]]
    chance.shuffle(mixed)  # type: ignore[attr-defined]

    assert rentals_of(mixed) == rentals_of(events)


@given(HISTORIES, st.floats(0, 9e5), st.floats(0, 9e5))
def test_spend_never_falls_and_is_the_sum_of_its_days(
    history: list[tuple[int, str, float]], one: float, other: float
) -> None:
    events = [
        event(BEGIN + round(at), what, f"{number:x}{step}", step=step, instance_id=number, seconds=round(at), **PRICE)
        for step, (number, what, at) in enumerate(history)
    ]
    found = list(rentals_of(events).values())
    early, late = sorted((BEGIN + one, BEGIN + other))
    days = [Period("day", BEGIN + (day - 15) * 86_400, BEGIN + (day - 14) * 86_400) for day in range(40)]
    whole = Period("month", days[0].begins, days[-1].ends)

    assert 0 <= spent_in(whole, found, early) <= spent_in(whole, found, late) + 1e-9
    assert sum(spent_in(day, found, late) for day in days) == pytest.approx(spent_in(whole, found, late), abs=1e-6)
