"""Create copes with instances that change by themselves, by the emulated market's records, in virtual time."""

from dataclasses import replace

import pytest

from providers.vast.api import errors
from providers.vast.create import Served, bring_online
from providers.vast.renting.renter import Renter
from sandbox.market.records.machines import Machine, generate
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket
from tests.doubles.slow_boots import LIMITS, ORDER, Serves

VLLM = "vllm/vllm-openai:v0.32.0"


def machine(number: int, cuda: float = 13.0) -> Machine:
    like = next(one for one in generate(1) if one.gpu.name == "RTX 4090")
    return replace(
        like,
        machine_id=number,
        num_gpus=1,
        usd_per_gpu_hour=0.3 + number / 1000,
        cuda=cuda,
        disk_gb=500,
        direct_ports=9,
        verification="verified",
    )


def online(market: FakeMarket) -> Served:
    order = replace(ORDER, image=VLLM, requirements=replace(ORDER.requirements, max_usd_per_hour=2))
    return bring_online(Renter(market, market.clock, LIMITS), order, Serves(), lambda *_: None)


@pytest.mark.parametrize("fault", ["unknown-for-a-while", "ports-late", "contract-ends", "price-rise-announced"])
def test_what_passes_gives_back_no_machine(fault: str) -> None:
    market = FakeMarket(FakeClock(), [machine(1), machine(2)], boot_seconds=None)
    market.faults.arm(fault)

    served = online(market)

    assert served.attempts == 1
    assert [contract.id for contract in market.emulator.current_and_ended()] == [served.instance.id]


def test_the_end_of_a_contract_is_told_with_the_instance() -> None:
    market = FakeMarket(FakeClock(), [machine(1)], boot_seconds=None)
    market.faults.arm("contract-ends")

    served = online(market)

    assert served.instance.end_date is not None
    assert served.instance.end_date - market.clock.time() <= 3600


def test_a_driver_that_is_too_old_costs_minutes_and_not_the_whole_boot() -> None:
    market = FakeMarket(FakeClock(), [machine(1, cuda=12.4), machine(2)], boot_seconds=None)

    served = online(market)

    assert (served.attempts, served.instance.machine_id) == (2, 2)
    assert market.clock.now < LIMITS.boot_seconds


def test_when_every_driver_is_too_old_the_message_says_so() -> None:
    market = FakeMarket(FakeClock(), [machine(number, cuda=12.4) for number in (1, 2, 3)], boot_seconds=None)

    with pytest.raises(errors.RentalFailed, match=r"unsatisfied condition: cuda>=13\.0"):
        online(market)

    assert market.emulator.all() == []
