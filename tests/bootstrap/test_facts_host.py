"""What a host says of itself: the container's own limits, and either banner of nvidia-smi."""

from collections.abc import Callable, Iterator

import pytest

from sandbox.hosts.backend import NamespaceHosts
from tests.doubles.emulated import Login
from tests.doubles.rented import Rented, Things, rent

pytestmark = pytest.mark.host


@pytest.fixture
def make(hosts: NamespaceHosts, things: Things) -> Iterator[Callable[..., Rented]]:
    made: list[Rented] = []

    def one(**changes: object) -> Rented:
        made.append(rent(hosts, things, **changes))
        return made[-1]

    yield one
    for rented in made:
        rented.host.destroy()


@pytest.mark.parametrize("version", [1, 2])
def test_limits_are_the_containers_own_and_not_the_machines(make: Callable[..., Rented], version: int) -> None:
    rented = make()
    machine = rented.facts()

    rented.host.fault("small_slice", version=version, memory_mb=512, cpus=0.5, pids=300)
    seen = rented.facts()

    assert (seen.memory_mb, seen.cpu_cores, seen.pids_max) == (512, 0.5, 300)
    assert (machine.memory_mb > 512, machine.cpu_cores >= 1, machine.pids_max) == (True, True, None)


def test_facts_are_found_in_what_a_shell_says(make: Callable[..., Rented]) -> None:
    rented = make()
    quiet = rented.facts()

    rented.host.fault("talking_shell")

    assert "Welcome" in Login(rented.host).run("true")[1]
    assert rented.facts().gpus == quiet.gpus


@pytest.mark.parametrize(("driver", "cuda"), [("570.124.06", 12.8), ("610.43.02", 13.2)])
def test_cuda_is_read_from_either_banner(make: Callable[..., Rented], driver: str, cuda: float) -> None:
    assert make(driver=driver).facts().cuda == cuda


def test_a_slice_is_read_at_the_start(make: Callable[..., Rented]) -> None:
    for number in (1000, 1001):  # control groups of version 1 and 2
        facts = make(instance_id=number, memory_mb=777, cpu_cores=1.5).facts()

        assert (facts.memory_mb, facts.cpu_cores) == (777, 1.5)
