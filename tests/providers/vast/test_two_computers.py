"""Two computers, two caches, one account: each gets its share of what the market answers, and no side raises."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from providers.vast.api.errors import RateLimited, VastError
from tests.doubles.virtual_account import Computer, VirtualAccount

OTHERS = 60  # instances on the account: three pages a list
WAITING = 8  # on each side
SECONDS = 240.0


def looking(account: VirtualAccount, computer: Computer, seed: int, age: float) -> Callable[[], int]:
    """Look at the list every few seconds, as who waits for a boot does; return how often it was answered."""

    def work() -> int:
        client, chance, looks = computer.client(), random.Random(seed), 0
        while account.time.now < SECONDS:
            client.instances(None, age)
            looks += 1
            account.time.sleep(chance.uniform(5, 10))
        return looks

    return work


@pytest.mark.rotating(of=2)
@pytest.mark.parametrize("age", [5.0, 0.0])
def test_each_of_two_computers_gets_its_share_of_looks_and_none_raises(tmp_path: Path, age: float) -> None:
    random.seed(7)
    account = VirtualAccount(OTHERS)
    sides = [account.computer(tmp_path / name) for name in ("ours", "theirs")]

    looks = account.time.run(
        *(looking(account, side, seed, age) for side in sides for seed in range(WAITING)),
    )

    assert not [one for one in looks if isinstance(one, VastError)]
    counts = [one for one in looks if isinstance(one, int)]
    assert counts == looks
    ours, theirs = (sum(counts[at : at + WAITING]) for at in (0, WAITING))
    assert 0.5 <= ours / theirs <= 2
    answered = [side.wire.answers["list", 200] for side in sides]
    assert 0.5 <= answered[0] / answered[1] <= 2
    # Both together get most of what the market gives, one call a second.
    assert sum(answered) >= 0.5 * SECONDS


def test_a_computer_that_comes_later_gets_its_share_from_one_that_never_pauses(tmp_path: Path) -> None:
    random.seed(7)
    account = VirtualAccount(latency=(0.001, 0.002))  # nobody slips in between because answers take their time
    first, second = (account.computer(tmp_path / name) for name in ("ours", "theirs"))

    def asking(computer: Computer) -> int:
        client, asked = computer.client(), 0
        while account.time.now < SECONDS:
            client.show(1)
            asked += 1
        return asked

    def later() -> int:
        account.time.sleep(SECONDS / 4)
        return asking(second)

    account.time.run(*[lambda: asking(first)] * WAITING, *[later] * WAITING)

    late = second.wire.answers["show", 200]
    alone = SECONDS / 4 / 2  # what the first got meanwhile, at one call in two seconds
    assert 0.5 <= (first.wire.answers["show", 200] - alone) / late <= 2
    refused = sum(side.wire.answers["show", 429] for side in (first, second))
    assert refused <= 0.5 * sum(side.wire.answers["show", 200] for side in (first, second))


def test_one_computer_alone_is_never_refused_and_loses_one_interval_in_sixteen(tmp_path: Path) -> None:
    account = VirtualAccount()
    computer = account.computer(tmp_path / "ours")
    calls = 64

    account.time.run(*[lambda: computer.client().show(1)] * calls)

    assert computer.wire.answers == {("show", 200): calls}
    assert account.time.now <= (calls - 1 + calls / 16) * (2.0 + 0.26)


def test_a_market_that_refuses_for_good_is_told_in_the_end(tmp_path: Path) -> None:
    account = VirtualAccount()
    computer = account.computer(tmp_path / "ours")
    account.market.faults.arm("rate-limited", times=10_000)

    (raised,) = account.time.run(lambda: computer.client().instances())

    assert isinstance(raised, RateLimited)
    assert 240 <= account.time.now <= 330
