"""What the money bought: the seed's arithmetic, parts that sum to what was paid, and unknown figures that stay unknown."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.api_prices import ApiPrice
from monitoring.report.quantities import shown
from monitoring.worth.figures import MONTH_HOURS, Use, Work, Worth, together, worth
from monitoring.worth.rentals import Rental

HOUR = 3600.0
BEGIN = 1_796_000_000.0
MONTH = (BEGIN, BEGIN + MONTH_HOURS * HOUR)
MODELS = {"chat": "llama", "rerank": "small"}
MINI = ApiPrice("openai/gpt-4o-mini", 0.15, 0.60)


def rental(number: int, began: float, hours: float, usd_per_hour: float = 0.34, **known: object) -> Rental:
    """A rental that served from its first second, `began` hours after the window's begin."""
    at = BEGIN + began * HOUR
    made = Rental("chat-0", number, at, at, at + hours * HOUR, 0.0, usd_per_hour)
    return replace(made, **known)  # type: ignore[arg-type]


def only(rows: list[Worth]) -> Worth:
    [row] = rows
    return row


def test_a_machine_that_is_always_on_costs_what_the_seed_says_and_twenty_hours_cost_a_fraction() -> None:
    """24/7 at $0.34/h is $248.20 a month of 730 h; 20 h on demand are $6.80: more than nine tenths are saved."""
    always = only(worth([rental(1, 0, MONTH_HOURS)], None, MONTH, MODELS, {}))
    demand = only(worth([rental(n, n * 30.0, 1.0) for n in range(20)], None, MONTH, MODELS, {}))

    assert always.parts.paid == pytest.approx(248.20)
    assert always.always_on == pytest.approx(248.20)
    assert always.saved == pytest.approx(0.0, abs=1e-9)
    assert demand.parts.paid == pytest.approx(6.80)
    assert demand.always_on == pytest.approx(248.20)
    assert demand.saved == pytest.approx(1 - 6.80 / 248.20)
    assert (demand.saved or 0) > 0.9
    assert (shown(demand.parts.paid, "usd"), shown(demand.always_on or 0, "usd")) == ("$6.80", "$248.20")


def test_twenty_tests_cost_what_the_seed_says_and_idle_time_and_retries_come_on_top() -> None:
    """20 tests of half an hour at $0.35 are $3.50. What idle hosts and retries add is 54.5 % here.

    The seed's 54 is 54.5 with the half rounded to the even number, as Python's round does. Shares here keep three digits.
    """
    tests = [rental(n, n * 30.0, 0.7, 0.35) for n in range(20)]  # half an hour of use and 12 minutes idle
    retry = rental(99, 1.0, 1.45, 0.35, served=None, usd_before=1.45 * 0.35)
    use = Use(ready=dict.fromkeys(range(20), 0.7 * HOUR), unused=dict.fromkeys(range(20), 0.2 * HOUR))

    row = only(worth([*tests, retry], use, MONTH, MODELS, {}))

    assert row.parts.used == pytest.approx(3.50)
    assert row.parts.idle == pytest.approx(1.40)
    assert row.parts.failed == pytest.approx(0.5075)
    assert row.parts.paid == pytest.approx(3.50 * 1.545)
    assert row.parts.on_top == pytest.approx(0.545)
    assert shown(row.parts.on_top or 0, "ratio") == "54.5%"
    assert round(54.5) == 54


def test_tokens_are_compared_with_a_list_price_in_the_same_mix() -> None:
    work = {("chat", "llama"): Work(1000, 750_000, 250_000)}
    row = only(worth([rental(1, 0, 2.0, 0.35)], Use(work=work), MONTH, MODELS, {"llama": [MINI]}))

    assert row.usd_per_request == pytest.approx(0.0007)
    assert row.usd_per_million() == pytest.approx(0.70)
    assert row.usd_per_million("in") == pytest.approx(0.70 / 0.75)
    assert row.usd_per_million("out") == pytest.approx(0.70 / 0.25)
    assert row.compared[0].usd == pytest.approx(0.2625)
    # At $0.2625 a million, an hour of $0.35 is worth its price from 1,333,333 tokens on.
    assert row.compared[0].break_even == pytest.approx(0.35 / 0.2625 * 1e6)
    assert row.tokens_per_hour == pytest.approx(500_000)


def test_too_few_tokens_have_no_price() -> None:
    use = Use(work={("chat", "llama"): Work(1, 50, 50)})
    row = only(worth([rental(1, 0, 2.0)], use, MONTH, MODELS, {"llama": [MINI]}))

    assert row.usd_per_million() is None
    assert (row.compared[0].usd, row.compared[0].break_even) == (None, None)
    assert row.compared[0].usd_per_million_out == 0.60


def test_an_api_that_asks_nothing_has_no_break_even() -> None:
    free = ApiPrice("openrouter/free", 0.0, 0.0)
    use = Use(work={("chat", "llama"): Work(9, 50_000, 50_000)})
    row = only(worth([rental(1, 0, 2.0)], use, MONTH, MODELS, {"llama": [free]}))

    assert (row.compared[0].usd, row.compared[0].break_even) == (0.0, None)


def test_without_prometheus_use_is_unknown_and_the_ledgers_parts_are_not() -> None:
    slow = rental(1, 0, 2.0, served=BEGIN + HOUR, usd_before=0.20)
    failed = rental(2, 3, 1.0, served=None, usd_before=0.10)
    row = only(worth([slow, failed], None, MONTH, MODELS, {"llama": [MINI]}))

    assert (row.parts.failed, row.parts.starting, row.parts.serving) == pytest.approx((0.10, 0.20, 0.34))
    assert (row.parts.idle, row.parts.used, row.parts.unseen, row.parts.on_top) == (None, None, None, None)
    assert (row.work, row.usd_per_request, row.usd_per_million(), row.tokens_per_hour) == (None, None, None, None)
    assert row.starting_seconds == HOUR
    assert (row.compared[0].usd, row.compared[0].break_even) == (None, None)


def test_a_host_that_does_not_report_is_neither_idle_nor_used() -> None:
    row = only(worth([rental(1, 0, 2.0)], Use(), MONTH, MODELS, {}))

    assert (row.parts.idle, row.parts.used) == (0.0, 0.0)
    assert row.parts.unseen == pytest.approx(0.68)
    assert row.parts.on_top is None


def test_a_window_cuts_what_lies_outside() -> None:
    before = rental(1, -10, 11.0, served=BEGIN - 9 * HOUR, usd_before=5.0)
    over = rental(2, -10, 5.0)
    row = only(worth([before, over], None, MONTH, MODELS, {}))

    assert row.rentals == 1
    assert (row.parts.starting, row.parts.serving) == pytest.approx((0.0, 0.34))


def test_always_on_counts_the_most_that_served_at_once_and_no_successor() -> None:
    one_after_another = [rental(1, 0, 10.0), rental(2, 10, 10.0)]
    beside = [rental(1, 0, 10.0), rental(2, 9, 10.0, 0.50)]
    failed = rental(3, 0, 10.0, served=None)

    assert only(worth(one_after_another, None, MONTH, MODELS, {})).always_on == pytest.approx(248.20)
    assert only(worth(beside, None, MONTH, MODELS, {})).always_on == pytest.approx(0.84 * MONTH_HOURS)
    assert only(worth([failed], None, MONTH, MODELS, {})).always_on is None


def test_a_fleet_that_changed_its_model_is_two_rows_and_the_money_is_shared_by_time() -> None:
    told = {1: {"llama": 3 * HOUR, "qwen": 1 * HOUR}}
    failed = rental(2, 0, 1.0, served=None, usd_before=0.40)
    rows = worth([rental(1, 0, 4.0, 1.0), failed], Use(models=told), MONTH, MODELS, {})

    assert [row.model for row in rows] == ["llama", "qwen"]
    assert [row.parts.serving for row in rows] == pytest.approx([3.0, 1.0])
    assert [row.parts.failed for row in rows] == pytest.approx([0.3, 0.1])
    assert together(rows).parts.paid == pytest.approx(4.40)
    assert together(rows).always_on == pytest.approx(MONTH_HOURS)


def test_a_doubt_is_told_with_the_row() -> None:
    row = only(worth([rental(7, 0, 1.0, doubt="the ledger does not know its end")], None, MONTH, MODELS, {}))

    assert row.doubts == ("chat-0 (instance 7): the ledger does not know its end",)


HOURS = st.floats(0, 2000)
RENTALS = st.builds(
    lambda fleet, number, began, start, hours, usd, price, serves: Rental(
        f"{fleet}-0",
        number,
        BEGIN + (began - 500) * HOUR,
        BEGIN + (began - 500 + start) * HOUR if serves else None,
        BEGIN + (began - 500 + start + hours) * HOUR,
        usd,
        price,
    ),
    st.sampled_from(["chat", "rerank"]),
    st.integers(1, 5),
    HOURS,
    st.floats(0, 3),
    HOURS,
    st.floats(0, 9),
    st.none() | st.floats(0, 9),
    st.booleans(),
)
SECONDS = st.dictionaries(st.integers(1, 5), st.floats(0, 9e6))
USES = st.builds(
    Use,
    st.dictionaries(
        st.tuples(st.sampled_from(["chat", "rerank"]), st.sampled_from(["llama", "qwen"])),
        st.builds(Work, st.floats(0, 1e6), st.floats(0, 1e9), st.floats(0, 1e9)),
    ),
    SECONDS,
    SECONDS,
    st.dictionaries(
        st.integers(1, 5), st.dictionaries(st.sampled_from(["llama", "qwen"]), st.floats(0, 9e6)), max_size=3
    ),
)


@given(st.lists(RENTALS, max_size=6, unique_by=lambda one: one.instance_id), st.none() | USES)
def test_every_dollar_is_in_one_part_of_one_row(rentals: list[Rental], use: Use | None) -> None:
    rows = worth(rentals, use, MONTH, MODELS, {"llama": [MINI]})

    expected = sum(one.before(*MONTH).usd + one.after(*MONTH).usd for one in rentals)
    assert sum(row.parts.paid for row in rows) == pytest.approx(expected, abs=1e-6)
    for row in rows:
        parts = row.parts
        assert min(parts.failed, parts.starting, parts.serving) >= 0
        known = (parts.idle, parts.used, parts.unseen)
        if use is None:
            assert known == (None, None, None)
        else:
            assert all(part is not None and part >= -1e-9 for part in known)
            assert sum(part or 0.0 for part in known) == pytest.approx(parts.serving, abs=1e-6)
        assert row.work is None or row.usd_per_request is None or row.usd_per_request >= 0
