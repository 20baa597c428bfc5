"""The node's first process: it makes the namespaces into a node, runs the node's programs and collects ended processes.

    python -m sandbox.node.inside PLAN        in fresh namespaces; begins at the first line on stdin

When it ends, the kernel ends every process of the node, its mounts and its network.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from sandbox.hosts.inside import kernel
from sandbox.node import cgroups
from sandbox.node.control_plane import programs
from sandbox.node.order import Order
from sandbox.node.plan import INSIDE, NODE, Plan, read
from sandbox.node.programs import SETTINGS, Program

FORWARDING = ("net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables")  # of the node's network alone
LOOK_SECONDS, QUIET_SECONDS = 0.03, 0.25


def main(arguments: list[str]) -> None:
    """Run the node until the first process is killed."""
    plan = read(Path(arguments[0]))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.readline()
    make_files(plan)
    make_network(plan)
    Programs(plan).loop()


def make_files(plan: Plan) -> None:
    """Give the node folders of its own in place of the machine's that its programs write to."""
    home = Path(plan.home).resolve()
    held = os.open(home, os.O_PATH)  # it may lie below a folder that is covered now
    kernel.mount("tmpfs", "/run", "tmpfs", options="mode=755")
    for name in ("node", "lock", "aside", "flags", "var/upper", "var/work"):
        Path("/run", name).mkdir(parents=True)
    kernel.bind(f"/proc/self/fd/{held}", INSIDE)
    os.close(held)
    if not str(home).startswith("/var/"):
        kernel.mount("var", "/var", "overlay", options="lowerdir=/var,upperdir=/run/var/upper,workdir=/run/var/work")
    for number, (name, value) in enumerate(SETTINGS.items()):
        place, shown = Path("/proc/sys", name), Path("/run/flags", str(number))
        if place.exists():
            shown.write_text(f"{value}\n")
            kernel.bind(str(shown), str(place))
    cgroups.show_own(plan.cgroup, Path("/run/aside"))
    kernel.mount("none", "/", flags=kernel.MS_SHARED | kernel.MS_REC)  # kubelet's mounts must reach the containers
    kernel.set_host_name(NODE)


def make_network(plan: Plan) -> None:
    """Bring up the node's end of the link to the machine."""
    for words in (
        ["link", "set", "lo", "up"],
        ["address", "add", f"{plan.address}/24", "dev", "eth0"],
        ["link", "set", "eth0", "up"],
        ["route", "add", "default", "via", plan.gateway],
    ):
        subprocess.run(["ip", *words], check=True)
    for name in FORWARDING:
        with contextlib.suppress(FileNotFoundError):  # bridges that iptables does not see
            Path("/proc/sys", name).write_text("1")


class Programs:
    """Starts the programs in their order, and starts again what ended."""

    def __init__(self, plan: Plan) -> None:
        self._path = os.pathsep.join([*plan.programs, os.environ.get("PATH", os.defpath)])
        self._order = Order(programs(plan))
        self._running: dict[int, Program] = {}
        Path(INSIDE, "logs").mkdir(exist_ok=True)

    def loop(self) -> None:
        """Go on for ever."""
        while True:
            self._collect()
            for program in self._order.next(time.monotonic()):
                self._start(program)
            self._order.look(self._running.values())
            time.sleep(QUIET_SECONDS if self._order.complete else LOOK_SECONDS)

    def _start(self, program: Program) -> None:
        log = os.open(f"{INSIDE}/logs/{program.key}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open("/dev/null", os.O_RDONLY)
        streams = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
        environment = {"PATH": self._path, "HOME": "/root", "TMPDIR": "/run"}
        ignored = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
        try:
            words = [program.name, *program.arguments]
            # A search in PATH must see the node's own folders.
            os.environ["PATH"] = self._path
            pid = os.posix_spawnp(
                program.name, words, environment, file_actions=streams, setsid=True, setsigdef=ignored
            )
            self._running[pid] = program
        except OSError as error:
            os.write(log, f"{program.name} cannot be started: {error}\n".encode())
            self._order.ended(program, time.monotonic(), well=False)
        finally:
            os.close(log)
            os.close(null)

    def _collect(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                program = self._running.pop(pid, None)  # none: a container's, left to the first process
                if program is None:
                    continue
                self._order.ended(program, time.monotonic(), well=status == 0)
                if program.once and status == 0:
                    Path(INSIDE, "logs", f"{program.key}.done").touch()


if __name__ == "__main__":
    main(sys.argv[1:])
