"""A clock with an end: waits are as long as asked until then, and raise from then on."""

import pytest

from bootstrap.clock import Until
from bootstrap.errors import TookTooLong
from tests.doubles.clock import FakeClock


def test_waits_are_as_long_as_asked_before_the_end() -> None:
    clock = FakeClock()

    Until(clock, 10).sleep(9)

    assert clock.slept == [9]


def test_a_wait_across_the_end_is_cut_short_and_raises() -> None:
    clock = FakeClock()
    bounded = Until(clock, 10)
    bounded.sleep(8)

    with pytest.raises(TookTooLong):
        bounded.sleep(5)

    assert bounded.monotonic() == 10
    with pytest.raises(TookTooLong):
        bounded.sleep(1)
    assert clock.slept == [8, 2, 0]
