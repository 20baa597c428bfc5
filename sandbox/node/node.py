"""The sandbox's cluster with a node: starts it, reaches into it, ends it."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.hosts.forwarder import Dial, Forwarder, Listener, dial_machine, listen
from sandbox.hosts.inside import kernel
from sandbox.hosts.pump import Line
from sandbox.node import files, keys, objects
from sandbox.node.api import Api, await_true, condition
from sandbox.node.control_plane import programs
from sandbox.node.plan import API_PORT, NAMES, NODE, Plan
from sandbox.node.programs import image_label
from sandbox.services.child import ServiceError
from sandbox.services.kubeconfig import kubeconfig_text
from sandbox.services.kubernetes import TOKEN
from sandbox.services.port_owner import taken
from sandbox.services.ports import LOOPBACK, choose, free

HTTPS = 443
START_SECONDS, END_SECONDS = 120.0, 60.0
REPOSITORY = Path(__file__).resolve().parents[2]
Address = tuple[str, int]


class Node:
    """An API server at `port` of loopback (0: any free one) and a node that runs its pods, with its files below `home`.

    `images`: archives that pods run from. `world`: names that pods may reach at port 443, and where on this machine each
    leads to.
    """

    def __init__(
        self, home: Path, images: Sequence[Path], port: int = 0, world: Mapping[str, Address] | None = None
    ) -> None:
        if port and not free(port):
            raise ServiceError(taken(port, "kubernetes", "run `python -m sandbox up --kubernetes-port PORT`"))
        self.port = port or choose(1)[0]
        self._base, self._world = home.resolve(), dict(world or {})
        # No pod starts without the image of the process that holds its network.
        self._images = sorted(images, key=lambda archive: archive.stem != "pause")
        # The keeper of a killed node removes its own folder, and may still be at it.
        self._home = self._base / secrets.token_hex(4)
        if len(self._world) > NAMES:
            raise ServiceError(f"Pods of a node may know {NAMES} names of the world, and {len(self._world)} are given.")
        self._number: socket.socket | None = None
        self._keeper: subprocess.Popen[str] | None = None
        self._forwarder: Forwarder | None = None
        self._listeners: list[Listener] = []
        self.api = Api(self.url, TOKEN)
        self.first = 0  # the node's first process
        self.ready_seconds = 0.0  # from the call of start to the node's condition Ready

    @property
    def url(self) -> str:
        """Return the URL of the API server."""
        return f"https://{LOOPBACK}:{self.port}"

    @property
    def plan(self) -> Plan:
        """Return where everything of the running node is."""
        return self._plan

    def kubeconfig(self, token: str = TOKEN) -> str:
        """Return a kubeconfig with this token, as the cluster without nodes has it."""
        return kubeconfig_text({"server": self.url, "insecure-skip-tls-verify": True}, {"token": token})

    def start(self) -> None:
        """Return when the node is ready, its images are there and names are answered. Raises ServiceError."""
        began = time.monotonic()
        lock, number = take_number()
        self._number = lock
        self._plan = Plan(str(self._home), number, tuple(map(str, self._images)), program_folders())
        try:
            self._write()
            self._keep(lock)
            self._reach()
            self._await(began + START_SECONDS)
            self.ready_seconds = self._ready_at - began
        except BaseException:
            self.stop()
            raise

    def restart(self) -> None:
        """End the node as a machine that loses its power, and start it on its disk. Raises ServiceError."""
        assert self._keeper is not None
        assert self._keeper.stdin is not None
        self._keeper.stdin.write("restart\n")
        self._keeper.stdin.flush()
        self.first = self._first_process()
        self._await(time.monotonic() + START_SECONDS)

    def stop(self) -> None:
        """End the node and everything in it; return when nothing is left. Stopping twice is harmless."""
        if self._forwarder is not None:
            for listener in self._listeners:
                self._forwarder.close(listener)
            self._forwarder.stop()
            self._forwarder, self._listeners = None, []
        if self._keeper is not None:
            assert self._keeper.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                self._keeper.stdin.close()
            try:
                self._keeper.wait(END_SECONDS)
            finally:
                assert self._keeper.stdout is not None
                self._keeper.stdout.close()
                self._keeper = None
        if self._number is not None:
            self._number.close()
            self._number = None
        shutil.rmtree(self._base, ignore_errors=True)

    def __enter__(self) -> "Node":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def dial(self, address: str, port: int) -> Dial:
        """Return a dial from the node itself, which reaches each pod and service whatever the policies say."""
        return lambda: dial_within(self.first, address, port)

    def forward(self, address: str, port: int, own: int = 0) -> int:
        """Lead a port of loopback, `own` or a free one, to a pod or service, as kubectl port-forward does. Return it."""
        server = listen(own)
        self._serve(server, self.dial(address, port))
        return int(server.getsockname()[1])

    def service(self, namespace: str, name: str) -> str:
        """Return the address of a service. Raises ServiceError if it is missing."""
        found = self.api.get(f"/api/v1/namespaces/{namespace}/services/{name}")
        if found is None:
            raise ServiceError(f"The node's cluster has no service {namespace}/{name}.")
        return str(found["spec"]["clusterIP"])

    def _write(self) -> None:
        shutil.rmtree(self._base, ignore_errors=True)  # left by a killed keeper
        self._home.mkdir(mode=0o700, parents=True)
        keys.write(self._plan, self._home / "keys")
        (self._home / "settings").mkdir()
        tokens = f'{TOKEN},admin,admin,"system:masters"\n'
        files.write(self._plan.site, self._home / "settings", {"tokens.csv": tokens})
        (self._home / "etcd").mkdir(mode=0o700)
        for number in range(objects.DISKS):
            (self._home / "disks" / objects.disk(number)).mkdir(parents=True)
        self._plan_file = self._plan.write()

    def _keep(self, lock: socket.socket) -> None:
        environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        with (self._home / "keeper.log").open("wb") as log:
            self._keeper = subprocess.Popen(
                [sys.executable, "-m", "sandbox.node.keeper", str(self._plan_file)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=REPOSITORY,
                env=environment,
                pass_fds=[lock.fileno()],
                start_new_session=True,
            )
        self.first = self._first_process()

    def _first_process(self) -> int:
        assert self._keeper is not None
        assert self._keeper.stdout is not None
        line = self._keeper.stdout.readline()
        if not line:
            raise ServiceError(f"The node cannot be made. {self._end_of('keeper.log')}")
        return int(line)

    def _reach(self) -> None:
        self._forwarder = Forwarder()
        self._serve(listen(self.port), dial_machine(self._plan.address, API_PORT))
        for place, target in enumerate(self._world.values()):
            self._serve(listen(HTTPS, self._plan.name_address(place)), dial_machine(*target))

    def _serve(self, server: socket.socket, dial: Dial) -> None:
        assert self._forwarder is not None
        self._listeners.append(self._forwarder.serve(server, dial, Line(), host_dialled=False))

    def _await(self, deadline: float) -> None:
        await_true(self.api.ready, deadline, lambda: f"The API server did not get ready. {self._ends()}")
        names = {name: self._plan.name_address(place) for place, name in enumerate(self._world)}
        self.api.apply(objects.objects(names))
        place = f"/api/v1/nodes/{NODE}"
        await_true(
            lambda: condition(self.api.get(place), "Ready"),
            deadline,
            lambda: f"The node did not get ready. {self._ends()}",
        )
        self._ready_at = time.monotonic()
        done = [self._home / "logs" / f"{image_label(str(image))}.done" for image in self._images]
        await_true(lambda: all(each.exists() for each in done), deadline, lambda: f"Images lack. {self._ends()}")
        dns = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
        await_true(
            lambda: condition(self.api.get(dns), "Available"), deadline, lambda: f"CoreDNS is not ready. {self._ends()}"
        )

    def _ends(self) -> str:
        """Return the last line of each program's log."""
        lines = [f"{program.key}: {self._end_of(f'logs/{program.key}.log')}" for program in programs(self._plan)]
        return "Its programs' last lines: " + " | ".join(lines)

    def _end_of(self, name: str) -> str:
        try:
            text = (self._home / name).read_text(errors="replace").strip()
        except OSError:
            return "no log"
        return text.splitlines()[-1][-300:] if text else "an empty log"


def dial_within(process: int, address: str, port: int) -> tuple[int, socket.socket]:
    """Begin a TCP connection in the network of a process. Return connect's error number and the socket. Raises OSError."""
    found: list[tuple[int, socket.socket] | OSError] = []

    def run() -> None:  # a thread of its own, because it stays in that network
        try:
            with Path(f"/proc/{process}/ns/net").open() as namespace:
                kernel.enter_network(namespace.fileno())
            found.append(dial_machine(address, port)())
        except OSError as error:
            found.append(error)

    thread = threading.Thread(target=run, name="node dialler")
    thread.start()
    thread.join()
    [one] = found
    if isinstance(one, OSError):
        raise one
    return one


def program_folders() -> tuple[str, ...]:
    """Return the folders of the node's programs. Raises ServiceError with the command that brings them."""
    found = {}
    for name in ("kubelet", "etcd", "containerd"):
        place = shutil.which(name)
        if place is None:
            raise ServiceError(f"The program {name} is missing. Bring it: python3 -m tools.setup --parts node")
        found[str(Path(place).parent)] = True
    return tuple(found)


def take_number() -> tuple[socket.socket, int]:
    """Return a number that no other node of this machine has, and the socket that holds it as long as it is open."""
    for number in range(256):
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            lock.bind(f"\0gpu-fleet-node-{number}")
        except OSError:
            lock.close()
            continue
        return lock, number
    raise ServiceError("256 nodes run on this machine already.")
