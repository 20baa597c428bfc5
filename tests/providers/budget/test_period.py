"""UTC days and months: they begin and end where the calendar says, and hours add up."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from providers.budget.period import periods_of
from providers.vast.api.responses import Charge
from providers.vast.api.spend import spent

MOMENTS = st.integers(1_704_067_200, 1_956_528_000).map(float)  # 2024 to 2032


def test_the_last_second_of_a_leap_february_is_still_in_it() -> None:
    last = datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC).timestamp()

    day, month = periods_of(last)

    assert day.ends == month.ends == last + 1
    assert month.hours_left(last) == 1 / 3600
    assert periods_of(last + 1)[1].begins == month.ends


@given(MOMENTS)
def test_a_moment_lies_in_its_day_which_lies_in_its_month(now: float) -> None:
    day, month = periods_of(now)

    assert month.begins <= day.begins <= now < day.ends <= month.ends
    assert day.ends - day.begins == 86_400
    assert 28 * 24 <= (month.ends - month.begins) / 3600 <= 31 * 24
    assert day.hours_left(now) + day.hours_of(day.begins, now) == 24


@given(MOMENTS, st.floats(0, 40 * 86_400), st.floats(0, 40 * 86_400))
def test_the_charges_are_cut_at_the_same_moments(now: float, before: float, long: float) -> None:
    began, ended = now - before, min(now, now - before + long)
    charge = Charge(source="instance-1", start=began, end=ended, amount=(ended - began) / 3600)
    for period in periods_of(now):
        expected = period.hours_of(began, ended) if ended > began else 0.0
        assert abs(spent([charge], now)[period.name] - expected) < 1e-3
