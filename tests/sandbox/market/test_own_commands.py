"""Instances that run their own command in place of sshd, and ports that are not plain ones: what the market shows of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.market.records.contracts import Request
from sandbox.testing import RunningMarket, running_market
from tests.doubles.raw_rents import http, rented, shown
from tests.doubles.until import until

pytestmark = pytest.mark.service

__all__ = ["http"]  # a fixture


@pytest.fixture
def market() -> Iterator[RunningMarket]:
    with running_market(time_scale=2000) as running:
        yield running


def test_an_instance_that_runs_its_own_command_has_no_proxy(http):
    assert shown(http, rented(http, runtype="args", args=["serve"]))["ssh_port"] == 1


def test_ports_of_udp_and_identity_ports_are_listed(http, market):
    env = {"-p 70000:70000": "1", "-p 5000:5000/udp": "1", "-p 8000:8000/tcp": "1", "-p 70001:70001/udp": "1"}
    number = rented(http, env=env)
    until(lambda: shown(http, number)["actual_status"] == "running")
    ports, host = shown(http, number)["ports"], market.emulator.get(number).host
    alike = host.ports[70_000], host.udp_ports[70_001]
    assert set(ports) == {"22/tcp", f"{alike[0]}/tcp", "8000/tcp", "5000/udp", f"{alike[1]}/udp"}
    assert ports[f"{alike[0]}/tcp"][0]["HostPort"] == str(alike[0])
    assert int(ports["5000/udp"][0]["HostPort"]) == host.udp_ports[5000]


def test_an_instance_whose_command_ends_is_exited_and_costs_no_gpu(http, market):
    number = rented(http, runtype="args", args=["serve"])
    until(lambda: shown(http, number)["actual_status"] == "running")
    contract = market.emulator.get(number)
    assert market.emulator.usd_per_hour() > contract.meter.disk_usd_per_hour
    contract.host.ended = True
    until(lambda: shown(http, number)["actual_status"] == "exited")
    assert shown(http, number)["intended_status"] == "running"
    assert market.emulator.usd_per_hour() == contract.meter.disk_usd_per_hour


@pytest.mark.parametrize(
    ("request_", "command"),
    [
        ({"args": ["--model", "m"]}, ("vllm", "serve", "--model", "m")),
        ({"args_str": "--model 'a b'"}, ("vllm", "serve", "--model", "a b")),
        ({"onstart": "/bin/sh", "args": ["-c", "echo hi"]}, ("/bin/sh", "-c", "echo hi")),
        ({"image": "ubuntu:22.04", "args": ["echo", "hi"]}, ("echo", "hi")),
        ({"image": "ubuntu:22.04"}, ("/bin/bash",)),
        ({"runtype": "ssh", "args": ["x"], "onstart": "true"}, ()),
    ],
)
def test_args_run_in_place_of_sshd_and_onstart(request_, command):
    wanted = Request.model_validate({"image": "vllm/vllm-openai:v0.32.0", "runtype": "args", **request_})
    assert wanted.command == command
