import pytest
from hypothesis import given
from hypothesis import strategies as st

from weights.quantities import TB, StartCost, monthly_euros, size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 KB"),
        (290_123, "290 KB"),
        (16_060_000_000, "16.1 GB"),
        (TB, "1000 GB"),
    ],
)
def test_sizes_read_as_people_say_them(count, text):
    assert size(count) == text


@pytest.mark.parametrize(("count", "euros"), [(0, 5), (1, 5), (TB, 5), (TB + 1, 10), (3 * TB, 15)])
def test_each_started_terabyte_costs(count, euros):
    assert monthly_euros(count) == euros


@given(st.integers(0, 10**16), st.integers(0, 10**16))
def test_more_never_costs_less(one, two):
    assert (one <= two) <= (monthly_euros(one) <= monthly_euros(two))


def test_only_hetzners_prices_are_named():
    cost = StartCost(50_000_000_000)

    assert cost.describe("https://fsn1.your-objectstorage.com") == (
        "50.0 GB leave the bucket at each start: 20 starts a month are in Hetzner's included TB, EUR 0.0500 each after that"
    )
    assert cost.describe("http://127.0.0.1:18802") == "50.0 GB leave the bucket at each start"
