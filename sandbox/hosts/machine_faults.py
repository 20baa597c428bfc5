"""Faults of the machine under a host: its keys, processes, disk, GPUs and clock."""

import base64
import hashlib
import signal
import subprocess
import tempfile
from pathlib import Path

from sandbox.hosts import cgroups, fake_gpu_file, sshd
from sandbox.hosts.host import NamespaceHost
from sandbox.hosts.spec import HostsError

CLOCK_SOURCE = Path(__file__).resolve().parent / "inside" / "shifted_clock.c"
CLOCK = "/usr/lib/sandbox-shifted-clock.so"
PRELOADED = "/etc/ld.so.preload"


def other_host_key(host: NamespaceHost, *, on: bool = True, later: bool = False) -> None:
    """Answer with another SSH host key: at once, or with `later` from the second connection on."""
    if not on:
        raise HostsError("A host that has shown another key cannot take that back: destroy it.")
    if not later:
        _change_host_key(host)
        return
    seen = 0

    def before_login() -> None:
        nonlocal seen
        seen += 1
        if seen == 2:
            _change_host_key(host)

    host.before_login = before_login


def frozen(host: NamespaceHost, *, on: bool = True) -> None:
    """Stop every process inside except the first, which later wakes the others."""
    host.namespaces.signal(signal.SIGSTOP if on else signal.SIGCONT)


def disk_full(host: NamespaceHost, *, on: bool = True) -> None:
    """Leave no room on the disk: shrink it to its content, so that nothing has to be written to fill it."""
    disk_bytes = host.disk_bytes if not on else host.used_bytes()
    into = ["nsenter", "-t", str(host.namespaces.pid1), "-m", "--"]
    done = subprocess.run(
        [*into, "mount", "-o", f"remount,size={disk_bytes}", "/"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise HostsError(f"The disk of {host.spec.name} cannot be resized: {done.stderr.strip()}.")


def gpu_lost(host: NamespaceHost, *, on: bool = True, index: int = 0) -> None:
    """Let one GPU fall off the bus."""
    host.namespaces.append(fake_gpu_file.STATE, f"{index} lost {int(on)}\n")


def gpu_driver_broken(host: NamespaceHost, *, on: bool = True) -> None:
    """Let nvidia-smi fail to reach the driver."""
    host.namespaces.append(fake_gpu_file.STATE, f"* driver_error {int(on)}\n")


def small_slice(
    host: NamespaceHost, *, on: bool = True, version: int = 2, memory_mb: int = 0, cpus: float = 0.0, pids: int = 0
) -> None:
    """Give the container less than the machine shows, by control groups of version 1 or 2; 0 is no limit."""
    files = cgroups.files(version, memory_mb, cpus, pids) if on else cgroups.of(host.spec)
    for path, text in files.items():
        host.namespaces.write(path, text)


def clock_off(host: NamespaceHost, *, on: bool = True, seconds: int = -7200) -> None:
    """Show every program that starts from now on a clock that is off by so many seconds.

    The kernel has one clock for all hosts, so a preloaded library answers calls for the time in dynamically linked
    programs. Statically linked programs, such as those in Go, see the true time.
    """
    inside = host.namespaces
    if not on:
        inside.write(PRELOADED, "")
        return
    inside.write(f"{CLOCK}.txt", base64.b64encode(_clock(seconds)).decode())
    inside.run("/bin/sh", "-c", f"base64 -d {CLOCK}.txt > {CLOCK}.new && mv {CLOCK}.new {CLOCK} && echo > {CLOCK}.done")
    host.wait_until(lambda: inside.read_or_empty(f"{CLOCK}.done") != "", "the other clock was not installed")
    inside.write(PRELOADED, f"{CLOCK}\n")


def _clock(seconds: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "clock.so")
        command = ["cc", "-shared", "-fPIC", "-O1", f"-DOFFSET={seconds}", "-o", str(library), str(CLOCK_SOURCE)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise HostsError("Another clock needs a C compiler, which is missing: apt-get install gcc") from None
        if done.returncode:
            raise HostsError(f"The library of another clock cannot be made: {done.stderr.strip()[-300:]}")
        return library.read_bytes()


def _change_host_key(host: NamespaceHost) -> None:
    """Let sshd use another key. The files of the first key stay, so that onstart reports the first one."""
    key, inside = sshd.HostKey.new(), host.namespaces
    mark = hashlib.sha256(key.public.encode()).hexdigest()[:8]
    key_file, pid_file = f"{sshd.KEY_FILE}.{mark}", f"/run/sshd.{mark}.pid"
    before = inside.read(sshd.CONFIGURATION_FILE)
    pid = inside.read(sshd.setting(before, "PidFile")).strip()
    inside.write(key_file, key.private, 0o600)
    inside.write(sshd.CONFIGURATION_FILE, sshd.with_other_key(before, key_file, pid_file))
    inside.run("/bin/kill", "-HUP", pid)
    host.wait_until(lambda: inside.read_or_empty(pid_file).strip() != "", "sshd did not take another host key")
    host.key = key


FAULTS = (other_host_key, frozen, disk_full, gpu_lost, gpu_driver_broken, small_slice, clock_off)
