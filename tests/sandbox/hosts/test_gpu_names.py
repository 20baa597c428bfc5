"""A rented GPU is recognised on the host, although driver and market spell it differently."""

from __future__ import annotations

import pytest

from bootstrap.preflight import _same_gpu
from sandbox.hosts.fake_gpu_file import driver_name
from sandbox.market.machines import GPUS


@pytest.mark.parametrize(
    ("market", "driver"),
    [
        ("RTX 4090", "NVIDIA GeForce RTX 4090"),
        ("RTX 6000Ada", "NVIDIA RTX 6000 Ada Generation"),
        ("A100 SXM4", "NVIDIA A100-SXM4-80GB"),
        ("L40S", "NVIDIA L40S"),
        ("NVIDIA GeForce RTX 3090", "NVIDIA GeForce RTX 3090"),
    ],
)
def test_drivers_names(market, driver):
    assert driver_name(market) == driver


@pytest.mark.parametrize("gpu", GPUS, ids=lambda gpu: gpu.name)
def test_every_gpu_of_the_market_passes_as_itself(gpu):
    assert _same_gpu(gpu.name, driver_name(gpu.name))


def test_another_gpu_does_not_pass():
    assert not _same_gpu("RTX 4090", driver_name("L4"))
    assert not _same_gpu("L40S", driver_name("L4"))
    assert not _same_gpu("H200", driver_name("H100 SXM"))
