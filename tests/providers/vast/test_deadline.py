"""The end of the create's own time is no machine's fault: what it cuts short is told as `time`, which blames none."""

from dataclasses import replace

import pytest

from providers.ledger.event import Reason
from providers.vast.api import errors
from providers.vast.api.patient_market import PatientMarket
from providers.vast.create import bring_online
from providers.vast.renting.host_key import patiently_read, read
from providers.vast.renting.renter import Renter
from providers.vast.renting.wait import wait_until_running
from providers.vast.search.start_time import longest_seconds
from tests.doubles.clock import FakeClock
from tests.doubles.ledger import FakeLedger
from tests.doubles.market import FakeMarket, offer
from tests.doubles.slow_boots import LIMITS, ORDER, Serves

MINUTE = 60.0


class Mute(FakeMarket):
    """A market whose logs never show a key."""

    def log(self, instance_id: int, lines: int = 1000) -> str:
        self._step("log", instance_id)
        return "start\n"


@pytest.mark.parametrize(("minutes", "reason"), [(10, "time"), (39, "time"), (41, "boot"), (1000, "boot")])
def test_a_boot_that_the_deadline_cuts_short_is_not_the_machines(minutes: float, reason: str) -> None:
    market = FakeMarket(FakeClock())
    market.never_boots.add(1001)
    number = market.add("label", offer(1))

    with pytest.raises(errors.RentalFailed) as raised:
        wait_until_running(Renter(market, market.clock, LIMITS), number, "label", 8443, minutes * MINUTE)

    assert raised.value.reason == reason
    assert ("limits.totalMinutes" in str(raised.value)) == (reason == "time")


@pytest.mark.parametrize(("minutes", "reason", "text"), [(4, "time", "in 4 min"), (16, "log", "in 15 min")])
def test_a_log_that_the_deadline_cuts_short_is_not_the_machines(minutes: float, reason: str, text: str) -> None:
    market = Mute(FakeClock())
    number, deadline = market.add("label", offer(1)), minutes * MINUTE
    patient = PatientMarket(market, market.clock, LIMITS, deadline, lambda *_: None)

    with pytest.raises(errors.RentalFailed) as raised:
        patiently_read(patient, Renter(patient, market.clock, LIMITS), number, deadline)

    assert (raised.value.reason, text in str(raised.value)) == (reason, True)
    assert ("limits.totalMinutes" in str(raised.value)) == (reason == "time")


def test_a_host_key_is_looked_for_at_most_twelve_times_a_minute() -> None:
    market = Mute(FakeClock())
    number = market.add("label", offer(1))

    with pytest.raises(errors.RentalFailed):
        read(Renter(market, market.clock, LIMITS), number, 1e9)

    looks = [call for call, _ in market.calls].count("log")
    assert looks / (market.clock.now / MINUTE) <= 12


def test_the_ledger_blames_no_machine_for_the_end_of_the_time() -> None:
    market, ledger = FakeMarket(FakeClock(), boot_seconds=30 * MINUTE), FakeLedger()
    limits = replace(LIMITS, total_seconds=20 * MINUTE)

    with pytest.raises(errors.RentalFailed):
        bring_online(Renter(market, market.clock, limits), ORDER, Serves(), lambda *_: None, ledger)

    reasons = [event.reason for event in ledger.events if event.reason is not None]
    assert reasons == [Reason.TIME]
    assert market.rows == {}


def test_the_total_leaves_room_for_a_late_host_key() -> None:
    assert longest_seconds(40 * MINUTE, 5 * MINUTE, 15 * MINUTE, 16, 100) - longest_seconds(
        40 * MINUTE, 5 * MINUTE, 0, 16, 100
    ) == pytest.approx(15 * MINUTE)
