"""An outage while many wait: one probe for all of them, and each ends at its deadline, not after those before it."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from providers.vast.api.errors import DOUBTS, OutcomeUnknown, RequestInvalid, VastError
from providers.vast.api.outage import REMEMBERED_SECONDS, Outage
from providers.vast.api.patient_market import PatientMarket
from providers.vast.api.response_cache import PROBE_SECONDS
from providers.vast.api.retry import ATTEMPTS
from providers.vast.limits import Limits
from providers.vast.renting.renter import Renter
from providers.vast.renting.wait import wait_until_running
from tests.doubles.clock import FakeClock
from tests.doubles.virtual_account import Computer, VirtualAccount

MANY = 50
BEGINS, DEADLINE = 60.0, 600.0


def waiting(account: VirtualAccount, computer: Computer, number: int) -> Callable[[], float]:
    """Wait for one instance by a process of its own; return when that ended in doubt, or began to run."""
    time = account.time

    def work() -> float:
        market = PatientMarket(computer.client(), time, Limits(), DEADLINE, lambda *_: None)
        try:
            wait_until_running(
                Renter(market, time, Limits()), number, f"gpu-fleet/abc/chat-{number}", 8443, DEADLINE + 3600
            )
        except DOUBTS:
            return time.now
        return -time.now

    return work


def played(folder: Path, hangs: bool, until: float, boots: bool = False) -> tuple[list[float], Computer]:
    random.seed(7)
    account = VirtualAccount()
    if not boots:
        account.market.faults.arm("never-boots", MANY)
    computer = account.computer(folder / "ours")
    computer.wire.down_from, computer.wire.down_until, computer.wire.hangs = BEGINS, until, hangs
    numbers = account.rented(*(f"gpu-fleet/abc/chat-{at + 1}" for at in range(MANY)))
    ends = account.time.run(*(waiting(account, computer, number) for number in numbers))
    return [end for end in ends if isinstance(end, float)], computer


@pytest.mark.parametrize("hangs", [False, True])
def test_all_who_wait_end_at_their_deadline_and_one_of_them_asks(tmp_path: Path, hangs: bool) -> None:
    ends, computer = played(tmp_path, hangs, float("inf"))
    assert len(ends) == MANY
    assert min(ends) >= DEADLINE - 15
    assert max(ends) <= DEADLINE + 60
    asked = sum(count for (_kind, status), count in computer.wire.answers.items() if status != 200)
    assert asked <= ATTEMPTS + (DEADLINE - BEGINS) / PROBE_SECONDS


def test_after_an_outage_all_of_them_go_on(tmp_path: Path) -> None:
    ends, _computer = played(tmp_path, hangs=False, until=DEADLINE / 2, boots=True)

    assert len(ends) == MANY
    assert all(0 < -end <= DEADLINE / 2 + 60 for end in ends)


def noted(outage: Outage, clock: FakeClock, error: VastError) -> int:
    """Have a call end in an error, and return how often it would have been tried."""
    given = []

    def call() -> None:
        with outage.noticing(clock) as tries:
            given.append(tries)
            raise error

    with pytest.raises(type(error)):
        call()
    return given[0]


def test_the_first_answer_to_anybody_ends_it(tmp_path: Path) -> None:
    clock, outage = FakeClock(), Outage(tmp_path)

    assert noted(outage, clock, OutcomeUnknown("list", "a page of the proxy")) == ATTEMPTS
    assert noted(outage, clock, RequestInvalid("it answers")) == 1
    with outage.noticing(clock) as tries:
        assert tries == ATTEMPTS


def test_an_outage_of_long_ago_or_of_another_boot_is_none(tmp_path: Path) -> None:
    clock, outage = FakeClock(), Outage(tmp_path)
    noted(outage, clock, OutcomeUnknown("list", "a page of the proxy"))

    assert outage.lasts(clock)
    clock.sleep(REMEMBERED_SECONDS + 1)
    assert not outage.lasts(clock)
    (tmp_path / "outage").write_text(str(clock.now + 10))
    assert not outage.lasts(clock)
    (tmp_path / "outage").write_text("damaged")
    assert not outage.lasts(clock)
