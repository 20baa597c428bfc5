"""What is applied: read again and again, and unknown once it is old."""

import pytest

from controller.offers import OffersUnknown
from controller.ports import WorldUnavailable
from controller.world.main_stack import OLD_SECONDS, MainStack
from providers.elastic.applied import Applied, parse
from tests.controller.api.test_applied_offers import OUTPUT
from tests.doubles.clock import FakeClock


class Read:
    """What the state answers: an output, nothing, or an error."""

    def __init__(self, answer: Applied | Exception | None) -> None:
        self.answer, self.asked = answer, 0

    def __call__(self) -> Applied | None:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_bounds_ceilings_and_offers_are_those_that_were_applied(clock: FakeClock) -> None:
    main = MainStack(Read(parse(OUTPUT)), clock.monotonic)
    assert main.refresh()

    burst = main.applied()["burst"]

    assert (burst.elastic.max, burst.ceiling, burst.digest) == (2, 0.5, "d")
    assert [one.fleet for one in main.offers().fleets] == ["burst"]


def test_before_the_first_read_nothing_is_known(clock: FakeClock) -> None:
    main = MainStack(Read(None), clock.monotonic)

    with pytest.raises(WorldUnavailable, match="has not been read yet"):
        main.applied()
    with pytest.raises(OffersUnknown):
        main.offers()


def test_a_stack_that_exports_nothing_has_no_fleet(clock: FakeClock) -> None:
    main = MainStack(Read(None), clock.monotonic)
    main.refresh()

    assert main.applied() == {}
    with pytest.raises(OffersUnknown, match="pulumi up"):
        main.offers()


def test_what_was_applied_holds_for_minutes_while_the_state_does_not_answer(clock: FakeClock) -> None:
    read = Read(parse(OUTPUT))
    main = MainStack(read, clock.monotonic)
    main.refresh()
    read.answer = RuntimeError("the backend does not answer")
    clock.sleep(OLD_SECONDS)
    assert not main.refresh()
    assert "burst" in main.applied()

    clock.sleep(1.0)

    with pytest.raises(WorldUnavailable, match="the backend does not answer"):
        main.applied()
    assert main.last() is not None


def test_who_rents_asks_anew_and_takes_no_old_answer(clock: FakeClock) -> None:
    read = Read(parse(OUTPUT))
    main = MainStack(read, clock.monotonic)
    main.refresh()
    assert "burst" in main.applied(fresh=True)
    assert read.asked == 2

    read.answer = RuntimeError("the backend does not answer")
    with pytest.raises(WorldUnavailable):
        main.applied(fresh=True)
