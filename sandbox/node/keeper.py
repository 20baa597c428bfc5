"""Keeps a node: starts its first process, and removes every trace of the node when stdin closes, so also after a kill -9.

    python -m sandbox.node.keeper PLAN        `restart` on stdin ends the node and starts it on its files; stdout: its process

It outlives the process that started it for the moment that this takes. If it is killed itself, the kernel ends the node.
Empty control groups and files are left, and the next node of the same folder removes them.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from sandbox.node import cgroups
from sandbox.node.plan import Plan, read

NAMESPACES = ("--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--uts", "--ipc", "--net", "--cgroup")
LOOK_SECONDS, START_SECONDS, END_SECONDS = 0.02, 10.0, 20.0


def main(arguments: list[str]) -> None:
    """Keep the node of a plan until stdin closes."""
    plan = read(Path(arguments[0]))
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the end is the end of stdin
    try:
        keep(plan, sys.stdin)
    finally:
        cgroups.remove(plan.cgroup)
        with contextlib.suppress(OSError):
            shutil.rmtree(plan.home)
            Path(plan.home).parent.rmdir()  # if no other node is there


def keep(plan: Plan, orders: IO[str]) -> None:
    """Run the node until there are no more orders."""
    cgroups.remove(plan.cgroup)  # of a node whose keeper was killed
    remove_link(plan)
    node = Running(plan)
    try:
        print(node.first, flush=True)
        for line in orders:
            if line.strip() == "restart":
                node.end()
                node = Running(plan)
                print(node.first, flush=True)
    finally:
        node.end()


class Running:
    """A node that runs. `first` is its first process as the machine counts it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES, "--propagation", "private"]
        command += [sys.executable, "-m", "sandbox.node.inside", str(Path(plan.home, "plan.json"))]
        cgroups.make(plan.cgroup)
        with cgroups.within(plan.cgroup):
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sys.stderr, text=True)
        try:
            self.first = self._child()
            connect(plan, self.first)
            assert self._process.stdin is not None
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Kill the first process, and return when nothing of it is left but files."""
        with contextlib.suppress(ProcessLookupError, AttributeError):
            os.kill(self.first, signal.SIGKILL)
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        cgroups.remove(self._plan.cgroup)
        deadline = time.monotonic() + END_SECONDS
        while Path("/sys/class/net", self._plan.link).exists() and time.monotonic() < deadline:
            remove_link(
                self._plan
            )  # by itself it goes with the node's network, which the kernel removes in its own time
            time.sleep(LOOK_SECONDS)

    def _child(self) -> int:
        pid, deadline = self._process.pid, time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if found := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                return int(found[0])
            time.sleep(LOOK_SECONDS)
        raise RuntimeError("The node's namespaces cannot be made.")


def connect(plan: Plan, first: int) -> None:
    """Make the link between the machine and the node's network, and the addresses at which pods reach the machine."""
    ip("link", "add", plan.link, "type", "veth", "peer", "name", "eth0", "netns", str(first))
    ip("address", "add", f"{plan.gateway}/24", "dev", plan.link)
    for address in plan.world:
        ip("address", "add", f"{address}/32", "dev", plan.link)
    ip("link", "set", plan.link, "up")
    ip("route", "add", plan.pods, "via", plan.address)


def remove_link(plan: Plan) -> None:
    """Remove the link if it is there."""
    if Path("/sys/class/net", plan.link).exists():
        subprocess.run(["ip", "link", "delete", plan.link], check=False, capture_output=True)


def ip(*words: str) -> None:
    """Call ip. Raises CalledProcessError."""
    subprocess.run(["ip", *words], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
