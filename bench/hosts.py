"""Emulated hosts: from the order to the SSH banner, one by one and 20 at once, and what one costs.

The limit is what no such host can do without: fresh namespaces, a Python in them and an sshd that has started. It is
measured in the same run, in turns with the hosts.
"""

import contextlib
import functools
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure, percentile
from sandbox.hosts.backend import NamespaceHosts
from sandbox.hosts.host import NamespaceHost
from sandbox.hosts.images import Images
from sandbox.hosts.namespaces import NAMESPACES
from sandbox.hosts.spec import HostSpec

Result = TypeVar("Result")
HOSTS = 20


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        with contextlib.closing(NamespaceHosts(cache, Images("double", cache))) as hosts:
            hosts.create(spec(0)).destroy()  # what is made once: the double's image, bytecode
            limits, one_by_one = [], []
            for number in range(1, HOSTS + 1):
                limits.append(timed(empty_namespaces)[0])
                one_by_one.append(timed(functools.partial(hosts.create, spec(number))))
            typical = percentile([s for s, _ in one_by_one], 0.5)
            figure("host, order to SSH banner, times the limit", typical / percentile(limits, 0.5), "", 3)
            figure("host, order to SSH banner, p50", typical * 1e3, "ms", 100)
            figure("host, order to SSH banner, p95", percentile([s for s, _ in one_by_one], 0.95) * 1e3, "ms", 150)
            figure("host, memory of its own (PSS)", memory_mb([host for _, host in one_by_one]), "MB", 12)
            ends = [timed(host.destroy)[0] for _, host in one_by_one]
            figure("host, destroyed, p50", percentile(ends, 0.5) * 1e3, "ms", 20)
            figure(f"{HOSTS} hosts at once, all banners", timed(lambda: at_once(hosts))[0], "s", 2)


def spec(number: int) -> HostSpec:
    """Return a plain host with the double of vLLM in it."""
    return HostSpec(
        instance_id=number,
        name=f"C.{number}",
        image="vllm/vllm-openai:latest",
        env={},
        onstart="",
        published=(22, 8443),
        authorized_keys=(),
        disk_mb=256,
        shm_mb=256,
        gpu_name="NVIDIA GeForce RTX 4090",
        gpu_count=1,
        gpu_ram_mb=24564,
        driver="570.124.06",
        download_mbps=0,
    )


def timed(action: Callable[[], Result]) -> tuple[float, Result]:
    """Return (seconds, result)."""
    began = time.perf_counter()
    result = action()
    return time.perf_counter() - began, result


def empty_namespaces() -> None:
    """Start a Python in namespaces of its own, and an sshd that looks at its configuration and ends."""
    as_user = [] if os.geteuid() == 0 else ["--map-root-user"]
    python = ["/usr/bin/python3", "-ISc", "import ctypes, json, shutil, socket, subprocess, traceback"]
    subprocess.run(["unshare", *NAMESPACES, *as_user, *python], check=True)
    subprocess.run(["/usr/sbin/sshd", "-V"], check=False, capture_output=True)


def at_once(hosts: NamespaceHosts) -> None:
    """Create many hosts, each in a thread of its own."""
    threads = [threading.Thread(target=hosts.create, args=(spec(100 + number),)) for number in range(HOSTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def memory_mb(hosts: list[NamespaceHost]) -> float:
    """Return what one host holds in MB: the proportional share of its first process and all below it, and unshare's."""
    total = 0
    for host in hosts:
        pids = [host.namespaces.pid1]
        for pid in pids:
            for task in Path(f"/proc/{pid}/task").iterdir():
                pids += [int(child) for child in (task / "children").read_text().split()]
        stat = Path(f"/proc/{host.namespaces.pid1}/stat").read_text()
        for pid in [*pids, int(stat.rpartition(")")[2].split()[1])]:
            found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
            total += int(found[1]) if found else 0
    return total / 1024 / len(hosts)


if __name__ == "__main__":
    main()
