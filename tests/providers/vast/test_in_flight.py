"""What runs is counted, and told after the first Ctrl-C with the time that it takes."""

import pytest

from providers.vast.in_flight import InFlight, expected_seconds
from providers.vast.settings import InstanceSettings
from tests.doubles.clock import FakeClock
from tests.doubles.settings import PROPS


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def reported() -> list[str]:
    return []


@pytest.fixture
def in_flight(clock: FakeClock, reported: list[str]) -> InFlight:
    return InFlight(clock, reported.append)


def test_a_process_is_busy_while_a_call_runs_however_that_ends(in_flight: InFlight) -> None:
    assert not in_flight.busy()

    def look() -> None:
        with in_flight.work("chat-0", "read"):
            assert in_flight.busy()
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        look()
    assert not in_flight.busy()


def test_each_call_says_how_long_it_takes_and_what_another_interrupt_does(
    in_flight: InFlight, clock: FakeClock, reported: list[str]
) -> None:
    settings = InstanceSettings.from_props(PROPS)
    with (
        in_flight.work("chat-3", "create") as one,
        in_flight.work("chat-4", "delete"),
        in_flight.work("chat-5", "read"),
        in_flight.work("chat-6", "delete"),
    ):
        one.settings = settings
        clock.now += expected_seconds(settings) - 240
        in_flight.report_what_is_finished(left_out={"chat-6"})
    assert reported == [
        "chat-3  finishing  about 4 min until it serves; ^C again gives it back",
        "chat-4  finishing  it is given back; ^C again does not stop that",
    ]


def test_a_late_create_names_its_end(in_flight: InFlight, clock: FakeClock, reported: list[str]) -> None:
    settings = InstanceSettings.from_props(PROPS)
    with in_flight.work("chat-3", "create") as one:
        one.settings = settings
        clock.now += settings.to_limits().total_seconds - 60
        in_flight.report_what_is_finished()
    assert reported == ["chat-3  finishing  it takes longer than usual, 60 s at most; ^C again gives it back"]
