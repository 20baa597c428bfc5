"""Boots take what they take: the image over the machine's line, unpacking, the documented order, and CUDA."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.vast.api.instance import Failed, Instance, classify
from sandbox.faults import Faults
from sandbox.hosts.spec import NoHost, NoHosts
from sandbox.market.market import Market
from sandbox.market.records import instances, states
from sandbox.market.records.clock import MarketClock
from sandbox.market.records.contracts import Contract, Request
from sandbox.market.records.images import image_of
from sandbox.market.records.machines import Machine, generate

VLLM, SMALL = "vllm/vllm-openai:v0.32.0", "vllm/vllm-openai-cpu:v0.32.0"
MACHINES = generate(1)


class SteppedMarket:
    """A market of one machine whose clock a test moves by hand."""

    def __init__(self, machine: Machine) -> None:
        self.real = 0.0
        clock = MarketClock(1.0, start=1e9, real=lambda: self.real)
        self.emulator = Market(clock, [machine], NoHosts(), Faults(), spawn=lambda work: work())

    def rent(self, image: str) -> Contract:
        [offer] = self.emulator.listed()
        return self.emulator.rent(offer["id"], Request(image=image, disk=10))

    def statuses(self, contract: Contract, seconds: float, step: float = 1.0) -> list[tuple[str | None, str | None]]:
        """Return what the market says of it during some seconds, each word once."""
        statuses = []
        for _ in range(int(seconds / step)):
            self.real += step
            self.emulator.tick()
            row = instances.row(contract, self.emulator.clock)
            statuses.append((row["actual_status"], row["status_msg"]))
        return [word for word, _same in itertools.groupby(statuses)]


def machine(mbps: float = 500, cuda: float = 13.0) -> Machine:
    return replace(MACHINES[0], inet_down=mbps, cuda=cuda, disk_mbs=2000.0, boot_seconds=30.0, disk_gb=200)


def test_the_words_of_a_boot_come_in_the_documented_order() -> None:
    market = SteppedMarket(machine())

    statuses = market.statuses(market.rent(VLLM), 500)

    assert [status for status, _ in statuses] == [None, "created", "loading", "loading", "running"]
    assert all(message for status, message in statuses if status)


def test_a_healthy_boot_freezes_its_message_for_ten_minutes_and_more() -> None:
    market = SteppedMarket(machine(mbps=111))
    contract = market.rent(VLLM)
    market.statuses(contract, 20)

    assert len(market.statuses(contract, 600, step=5)) == 1
    assert market.statuses(contract, 600, step=5)[-1][0] == "running"


@given(st.sampled_from(MACHINES), st.sampled_from([VLLM, SMALL, "img:1"]))
def test_a_boot_is_no_shorter_than_the_image_over_the_line(one: Machine, image: str) -> None:
    assert states.boot_of(one, image).total > image_of(image).compressed_gb * 8000 / one.inet_down + one.boot_seconds


def test_the_sandboxes_own_image_is_there_soon() -> None:
    fit = [one for one in MACHINES if one.inet_down >= 50 and one.gpu.name in ("RTX 4090", "RTX 3090")]

    assert max(states.boot_of(one, SMALL).total for one in fit) < 300
    assert min(states.boot_of(one, VLLM).total for one in fit) > 170


@pytest.mark.parametrize(("image", "cuda"), [
    (VLLM, 13.0), ("docker.io/vllm/vllm-openai:latest", 13.0), ("vllm/vllm-openai:v0.32.0-cu129", 12.9),
    ("vllm/vllm-openai:v0.11.0", 12.8), ("vllm/vllm-openai", 13.0), (SMALL, None), ("localhost:5000/own", None),
])  # fmt: skip
def test_what_a_container_demands_of_the_driver(image: str, cuda: float | None) -> None:
    assert image_of(image).cuda == cuda


def test_a_driver_that_is_too_old_starts_no_container_and_bills_no_gpu() -> None:
    market = SteppedMarket(machine(cuda=12.4))
    contract = market.rent(VLLM)

    status, message = market.statuses(contract, 3000, step=10)[-1]

    assert status == "created"
    assert "unsatisfied condition: cuda>=13.0" in str(message)
    assert contract.meter.running_since is None
    row = Instance.model_validate(instances.row(contract, market.emulator.clock))
    assert isinstance(classify(row, 8443), Failed)


def test_a_driver_that_is_new_enough_starts_it() -> None:
    market = SteppedMarket(machine(cuda=12.9))

    assert market.statuses(market.rent("vllm/vllm-openai:v0.32.0-cu129"), 600)[-1][0] == "running"


def test_a_restart_says_rebooting_and_then_loading() -> None:
    market = SteppedMarket(machine())
    contract = market.rent(SMALL)
    market.statuses(contract, 120)

    market.emulator.reboot(contract.id)

    assert [status for status, _ in market.statuses(contract, 30, step=0.5)] == ["rebooting", "loading", "running"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("unknown-for-a-while", ["running", "unknown", "running"]),
        ("reboots-slowly", ["running", "rebooting", "loading", "running"]),
    ],
)
def test_what_looks_like_an_end_and_is_none(fault: str, words: list[str]) -> None:
    market = SteppedMarket(machine())
    contract = market.rent(SMALL)
    market.statuses(contract, 120)
    market.emulator.faults.arm(fault, instance=str(contract.id))

    statuses = [(status or "") for status, _ in market.statuses(contract, 700)]

    assert [status for status, _same in itertools.groupby(["running", *statuses])] == words
    assert isinstance(contract.host, NoHost)
    assert contract.host.running
    assert contract.meter.running_since is not None


def test_ports_come_a_minute_after_it_runs() -> None:
    market = SteppedMarket(machine())
    market.emulator.faults.arm("ports-late")
    contract = market.rent(SMALL)
    named = []
    for _ in range(200):
        market.statuses(contract, 1)
        row = instances.row(contract, market.emulator.clock)
        named += [row["ports"] is not None] if row["actual_status"] == "running" else []

    assert [value for value, _same in itertools.groupby(named)] == [False, True]
    assert 55 <= named.count(False) <= 65


def test_a_contract_is_stopped_at_its_end_and_deleted_two_days_later() -> None:
    market = SteppedMarket(replace(machine(), lease_seconds=3600))
    contract = market.rent(SMALL)

    assert market.statuses(contract, 3700, step=20)[-1][0] == "exited"
    assert market.emulator.all() == [contract]
    market.statuses(contract, 49 * 3600, step=600)
    assert market.emulator.all() == []
