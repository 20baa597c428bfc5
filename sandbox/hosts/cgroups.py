"""Writes a container's limits as control group files: version 2, or version 1 as older machines have it.

The kernel does not enforce these limits; they exist for programs that read them. /proc/meminfo and the list of
processors show the whole machine, as in a real container.
"""

from pathlib import Path

from sandbox.hosts.spec import HostSpec

FOLDER = "/sys/fs/cgroup"
CONTROLLERS = ("memory", "cpu", "pids")
MIB = 2**20
PERIOD_US = 100_000
SHARE = 0.75  # of the memory that /proc/meminfo shows: a container never gets the whole machine
NO_LIMIT_1 = 9223372036854771712


def of(spec: HostSpec) -> dict[str, str]:
    """Return path -> text for a new host. About every fourth machine still has version 1.

    The rental may order more memory than this machine has, so the limit is at most 75 % of this machine's memory.
    """
    version = 1 if spec.instance_id % 4 == 0 else 2
    return files(version, min(spec.memory_mb, int(SHARE * _machine_mb())), spec.cpu_cores, 0)


def files(version: int, memory_mb: int, cpus: float, pids: int) -> dict[str, str]:
    """Return path -> text of the limits; 0 is no limit. The files of the other version are empty."""
    quota = int(cpus * PERIOD_US)
    second = {
        "memory.max": str(memory_mb * MIB) if memory_mb else "max",
        "cpu.max": f"{quota or 'max'} {PERIOD_US}",
        "pids.max": str(pids or "max"),
    }
    first = {
        "memory/memory.limit_in_bytes": str(memory_mb * MIB or NO_LIMIT_1),
        "cpu/cpu.cfs_quota_us": str(quota or -1),
        "cpu/cpu.cfs_period_us": str(PERIOD_US),
        "pids/pids.max": str(pids or "max"),
    }
    texts = {**dict.fromkeys(second if version == 1 else first, ""), **(first if version == 1 else second)}
    return {f"{FOLDER}/{name}": f"{text}\n" if text else "" for name, text in texts.items()}


def _machine_mb() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("MemTotal:"))
