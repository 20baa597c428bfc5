"""Two operators, two caches, one account: both bring their fleets online and give them back, neither costs the other more."""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from providers.vast.create import Served, bring_online
from providers.vast.instance_request import InstanceRequest
from providers.vast.limits import Limits
from providers.vast.renting.give_back import give_back
from providers.vast.renting.renter import Renter
from providers.vast.search.requirements import Requirements
from tests.doubles.slow_boots import Serves
from tests.doubles.virtual_account import Computer, VirtualAccount

pytestmark = pytest.mark.service

REQUIREMENTS = Requirements(("RTX 4090", "RTX 3090", "RTX 5090"), 1, 2.0, 20, 1)
STACKS = ("aaa", "bbb")
RENT_SECONDS = 4.5  # between two rents of the account, as the market publishes it


def bringing(account: VirtualAccount, computer: Computer, label: str) -> Callable[[], tuple[float, Served]]:
    order = InstanceRequest(
        label.rpartition("/")[2], label, REQUIREMENTS, "image:1", "true", 8443, ssh_public_key="ssh-ed25519 AAAA x"
    )

    def work() -> tuple[float, Served]:
        served = bring_online(Renter(computer.market(), account.time, Limits()), order, Serves(), lambda *_: None)
        return account.time.now, served

    return work


def ending(account: VirtualAccount, computer: Computer, number: int) -> Callable[[], int]:
    def work() -> int:
        give_back(Renter(computer.market(), account.time, Limits()), number)
        return number

    return work


@pytest.mark.parametrize("each", [10, pytest.param(50, marks=pytest.mark.deep)])
def test_two_fleets_come_and_go_at_once(tmp_path: Path, each: int) -> None:
    random.seed(7)
    account = VirtualAccount()
    sides = {stack: account.computer(tmp_path / stack) for stack in STACKS}
    labels = {stack: [f"gpu-fleet/{stack}/chat-{number}" for number in range(each)] for stack in STACKS}

    served = account.time.run(
        *(bringing(account, sides[stack], label) for stack in STACKS for label in labels[stack]),
    )

    assert not [one for one in served if isinstance(one, Exception)]
    rented = Counter(one.label for one in account.market.all())
    assert rented == Counter(label for stack in STACKS for label in labels[stack])
    online = [sorted(one[0] for one in served[at : at + each] if isinstance(one, tuple)) for at in (0, each)]
    assert 0.5 <= online[0][-1] / online[1][-1] <= 2
    assert 0.5 <= sum(online[0]) / sum(online[1]) <= 2
    # Rents that the other one's came before, and turns that the other one had, cost no more than as much again, twice.
    assert account.time.now <= 3 * 2 * each * RENT_SECONDS + 180

    numbers = {one.id: str(one.label).split("/")[1] for one in account.market.all()}
    ended = account.time.run(*(ending(account, sides[stack], number) for number, stack in numbers.items()))

    returned = [one for one in ended if isinstance(one, int)]
    assert sorted(returned) == sorted(numbers)
    assert account.market.all() == []
