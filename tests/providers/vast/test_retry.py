"""Calls are made again: refusals for too many of them for minutes, other doubts a few times."""

import pytest

from providers.vast.api.errors import DOUBTS, OutcomeUnknown, RateLimited, VastError
from providers.vast.api.retry import ATTEMPTS, RATE_LIMITED_WAITS, again
from tests.doubles.clock import FakeClock


class Call:
    """Raises what it is given, in turn, and then returns; counts."""

    def __init__(self, *raised: VastError) -> None:
        self.raised, self.made = list(raised), 0

    def __call__(self) -> str:
        self.made += 1
        if self.raised:
            raise self.raised.pop(0)
        return "answer"


def unknown() -> OutcomeUnknown:
    return OutcomeUnknown("list", "time-out")


def test_refusals_for_too_many_calls_use_up_no_try() -> None:
    clock = FakeClock()
    call = Call(*[RateLimited("list")] * 40, *[unknown()] * (ATTEMPTS - 1))

    assert again(call, DOUBTS, 1.0, clock) == "answer"
    assert max(clock.slept[:40]) <= 1.25  # and make nobody wait longer and longer


def test_they_are_told_after_minutes() -> None:
    clock, call = FakeClock(), Call(*[RateLimited("list")] * 1000)

    with pytest.raises(RateLimited):
        again(call, DOUBTS, 1.0, clock)

    assert RATE_LIMITED_WAITS - 2 <= clock.now <= RATE_LIMITED_WAITS


def test_other_doubts_are_told_after_a_few_tries_with_longer_and_longer_waits() -> None:
    clock, call = FakeClock(), Call(*[unknown() for _ in range(20)])

    with pytest.raises(OutcomeUnknown):
        again(call, DOUBTS, 1.0, clock)

    assert call.made == ATTEMPTS
    assert all(2**number <= wait <= 1.25 * 2**number for number, wait in enumerate(clock.slept))


def test_a_hint_is_kept_to_up_to_half_a_minute() -> None:
    clock = FakeClock()

    again(Call(RateLimited("list", 7), RateLimited("list", 900)), DOUBTS, 1.0, clock)

    assert clock.slept == [7, 30]
