"""A SIGKILL of the emulator takes its hosts along, also one that is frozen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doubles.emulated import spec
from tests.doubles.until import until

pytestmark = pytest.mark.host

EMULATOR = """
import encodings.idna, json, os, sys, threading
from pathlib import Path
from sandbox.hosts.backend import NamespaceHosts
from sandbox.hosts.images import Images
from tests.doubles.emulated import spec
from tests.doubles.until import until

cache, user = Path(sys.argv[1]), int(sys.argv[2])
if user != os.geteuid():
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
hosts = NamespaceHosts(cache, Images("double", cache))
daemon = "for i in 1 2; do setsid nohup bash -c 'trap : TERM; while :; do sleep 1000; done' >/dev/null 2>&1 & done"
running = "; until [ $(pgrep -c -x sleep) = 2 ]; do sleep 0.02; done; "
made = [hosts.create(spec(name=f"C.{n}", onstart=daemon + running + "echo up")) for n in range(3)]
until(lambda: all("up" in host.log() for host in made))
print(json.dumps([host.namespaces.pid1 for host in made]), flush=True)
threading.Event().wait()
"""


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def descendants(pid):
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def in_network(networks):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and alive(int(entry.name)):
            try:
                if str((entry / "ns" / "net").readlink()) in networks:
                    found.append(entry.name)
            except OSError:
                continue
    return found


def test_a_thousandth_host_costs_no_more_than_the_first(emulator):
    def open_files():
        return len(list(Path("/proc/self/fd").iterdir()))

    emulator.create(spec()).destroy()
    before = open_files()
    for _ in range(10):
        emulator.create(spec()).destroy()
    assert open_files() <= before


def test_kill_9_of_the_emulator_leaves_nothing(tmp_path):
    kill_and_look(tmp_path, os.geteuid())
    left = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")]
    assert sorted(left) == ["hosts", "hosts/mount-point"]


def test_kill_9_of_an_ordinary_users_emulator_leaves_nothing(stranger):
    user, cache = stranger
    kill_and_look(cache, user)


def kill_and_look(cache, user):
    emulator = subprocess.Popen(
        [sys.executable, "-c", EMULATOR, str(cache), str(user)],
        cwd=Path(__file__).resolve().parents[3],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert emulator.stdout is not None
    try:
        first_processes = json.loads(emulator.stdout.readline())
        processes = [one for one in descendants(emulator.pid) if one != emulator.pid]
        networks = {str(Path(f"/proc/{pid}/ns/net").readlink()) for pid in first_processes}
        assert len(networks) == 3
        # unshare, first process, sshd, two daemons with a sleep each
        assert len(processes) >= 3 * 7
        for pid in [*descendants(first_processes[1])[1:], first_processes[1]]:
            os.kill(pid, signal.SIGSTOP)
    finally:
        emulator.kill()
        emulator.wait()
        emulator.stdout.close()
    until(lambda: not any(alive(pid) for pid in processes))
    assert in_network(networks) == []
    assert str(cache) not in Path("/proc/self/mounts").read_text()
