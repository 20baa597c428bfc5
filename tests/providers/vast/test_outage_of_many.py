"""An outage while many wait: one probe for all of them, and each ends at its deadline, not after those before it."""

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from providers.vast.api.errors import DOUBTS, OutcomeUnknown, RequestInvalid, VastError
from providers.vast.api.outage import REMEMBERED_SECONDS, TRIED_SECONDS, Outage
from providers.vast.api.patient_market import PatientMarket
from providers.vast.api.rate_limit import INTERVALS, SHARES
from providers.vast.api.response_cache import PROBE_SECONDS
from providers.vast.api.retry import ATTEMPTS
from providers.vast.limits import Limits
from providers.vast.renting.renter import Renter
from providers.vast.renting.wait import wait_until_running
from tests.doubles.clock import FakeClock
from tests.doubles.virtual_account import Computer, VirtualAccount

MANY = 20
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


@pytest.mark.rotating(of=2)
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


@pytest.mark.rotating(of=2)
@pytest.mark.parametrize("call", ["show", "log"])
def test_all_who_ask_about_one_instance_share_one_doubt(tmp_path: Path, call: str) -> None:
    random.seed(7)
    account = VirtualAccount()
    computer = account.computer(tmp_path / "ours")
    computer.wire.down_from = 0.0

    def work(number: int) -> float:
        market = PatientMarket(computer.client(), account.time, Limits(), DEADLINE, lambda *_: None)
        with pytest.raises(OutcomeUnknown):
            getattr(market, call)(number)
        return account.time.now

    ends = account.time.run(*(partial(work, number) for number in range(MANY)))

    assert all(isinstance(end, float) and DEADLINE - 15 <= end <= DEADLINE + 15 for end in ends)
    in_turn = 2 * MANY  # of those that began before anybody knew of the outage
    assert sum(computer.wire.answers.values()) <= in_turn + DEADLINE / PROBE_SECONDS


def test_the_end_of_an_outage_is_noticed_by_all_who_ask_about_one_instance(tmp_path: Path) -> None:
    random.seed(7)
    account = VirtualAccount()
    computer = account.computer(tmp_path / "ours")
    numbers = account.rented(*(f"gpu-fleet/abc/chat-{at + 1}" for at in range(MANY)))
    computer.wire.down_from, computer.wire.down_until = 0.0, DEADLINE / 2

    def work(number: int) -> tuple[int, float]:
        market = PatientMarket(computer.client(), account.time, Limits(), DEADLINE, lambda *_: None)
        found = market.show(number)
        assert found is not None
        return found.id, account.time.now

    ends = account.time.run(*(partial(work, number) for number in numbers))

    assert [end[0] for end in ends if isinstance(end, tuple)] == numbers
    turns = MANY * INTERVALS["show"] * SHARES
    assert max(end[1] for end in ends if isinstance(end, tuple)) <= DEADLINE / 2 + PROBE_SECONDS + turns


def test_tries_of_all_together_are_those_of_one_caller(tmp_path: Path) -> None:
    clock, outage = FakeClock(), Outage(tmp_path)

    assert [outage.tries_after_doubt(clock) for _doubt in range(2 * ATTEMPTS)] == [ATTEMPTS] * 2 * ATTEMPTS  # too soon
    clock.sleep(TRIED_SECONDS)
    assert outage.tries_after_doubt(clock) == 1
    with outage.noticing(clock):
        pass  # an answer to anybody
    assert outage.tries_after_doubt(clock) == ATTEMPTS
    clock.sleep(TRIED_SECONDS)
    assert outage.tries_after_doubt(clock) == ATTEMPTS  # too few: two that hung are no outage


def noted(outage: Outage, clock: FakeClock, error: VastError) -> int:
    """Have a call end in an error, and return how often it would have been tried."""
    given = []

    def call() -> None:
        with outage.noticing(clock):
            given.append(outage.tries_after_doubt(clock))
            raise error

    with pytest.raises(type(error)):
        call()
    return given[0]


def test_the_first_answer_to_anybody_ends_it(tmp_path: Path) -> None:
    clock, outage = FakeClock(), Outage(tmp_path)

    assert noted(outage, clock, OutcomeUnknown("list", "a page of the proxy")) == ATTEMPTS
    assert noted(outage, clock, RequestInvalid("it answers")) == 1
    with outage.noticing(clock):
        assert outage.tries_after_doubt(clock) == ATTEMPTS


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
