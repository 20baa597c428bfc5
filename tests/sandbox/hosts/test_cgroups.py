"""What an ordinary host shows of its share of the machine, as files of its control group."""

from pathlib import Path

import pytest

from sandbox.hosts import cgroups
from tests.doubles.emulated import spec

MIB = 2**20


def machine_mb() -> int:
    return next(
        int(line.split()[1]) // 1024 for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line
    )


@pytest.mark.parametrize(("number", "file"), [(1000, "memory/memory.limit_in_bytes"), (1001, "memory.max")])
def test_a_host_may_use_less_memory_than_its_machine_shows(number: int, file: str) -> None:
    files = cgroups.of(spec(instance_id=number, memory_mb=1_000_000, cpu_cores=8.0))

    assert 0 < int(files[f"/sys/fs/cgroup/{file}"]) < machine_mb() * MIB


@pytest.mark.parametrize(("number", "file"), [(1000, "memory/memory.limit_in_bytes"), (1001, "memory.max")])
def test_a_host_that_was_ordered_smaller_is_smaller(number: int, file: str) -> None:
    files = cgroups.of(spec(instance_id=number, memory_mb=100))

    assert int(files[f"/sys/fs/cgroup/{file}"]) == 100 * MIB
