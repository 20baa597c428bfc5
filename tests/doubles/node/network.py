"""The pods' network: a namespace each, services under their names, and whatever policies forbid is refused."""

import errno
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sandbox.hosts.forwarder import Dial, Forwarder, Listener, dial_machine, listen
from sandbox.hosts.inside import kernel
from sandbox.hosts.pump import Line
from sandbox.services.child import Child
from tests.doubles.node.policies import Labels, lets_through

HTTPS = 443

Result = TypeVar("Result")
Address = tuple[str, int]


@dataclass
class PodNetwork:
    """One pod's namespace, held open by a process that sleeps; `address` is the pod's own."""

    labels: Labels
    address: str
    ports: Mapping[str, int]
    holder: Child
    names: dict[str, str] = field(default_factory=dict)  # what /etc/hosts says

    @property
    def path(self) -> Path:
        return Path(f"/proc/{self.holder.pid}/ns/net")

    def inside(self, work: Callable[[], Result]) -> Result:
        """Do something in a thread of the pod's namespace; a socket made there stays there."""
        found: list[Result] = []
        failed: list[BaseException] = []

        def run() -> None:
            try:
                with self.path.open() as namespace:
                    kernel.enter_network(namespace.fileno())
                found.append(work())
            except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return found[0]

    def dial(self, port: int) -> Dial:
        """Return a dial of the pod's own address, at which a program that listens on loopback alone is refused."""
        return partial(self.inside, dial_machine(self.address, port))


class Network:
    """All pods of one Kubernetes namespace. `world`: where the names of the world lead to, each on port 443."""

    def __init__(self, policies: Sequence[Mapping[str, Any]], world: Mapping[str, Address], folder: Path) -> None:
        self._policies, self._world, self._folder = policies, world, folder
        self._forwarder = Forwarder()
        self._listeners: list[Listener] = []
        self.pods: dict[str, PodNetwork] = {}

    def add(self, name: str, labels: Labels, ports: Mapping[str, int]) -> PodNetwork:
        """Make a pod's namespace."""
        holder = Child("unshare", ["--net", "sleep", "infinity"], {}, self._folder / f"{name}.network.log")
        pod = PodNetwork(labels, f"10.244.0.{len(self.pods) + 2}", ports, holder)
        while pod.path.samefile("/proc/self/ns/net"):  # unshare has just been started
            assert holder.status() is None, holder.tail()
        pod.inside(lambda: kernel.loopback_up(pod.address))
        self.pods[name] = pod
        return pod

    def connect(self, services: Mapping[str, tuple[str, Mapping[int, int]]]) -> None:
        """Give each pod a way to the world and to each service: (pod, {port: the pod's own port}) by name."""
        for name, pod in self.pods.items():
            for number, (service, (target, ports)) in enumerate(services.items(), 1):
                # Nothing but the program itself can listen on its port, whatever address of loopback is asked for.
                pod.names[service] = pod.address if target == name else f"127.1.0.{number}"
                if target != name:
                    for port, inner in ports.items():
                        self._serve(pod, (pod.names[service], port), self._to_pod(pod.labels, target, inner))
            for number, (host, address) in enumerate(self._world.items(), 1):
                pod.names[host] = f"127.1.1.{number}"
                self._serve(pod, (pod.names[host], HTTPS), self._to_world(pod.labels, address))

    def from_world(self, target: str, port: int) -> int:
        """Return a port of this machine that leads to a pod as the world reaches it."""
        return self._on_machine(self._to_pod(None, target, port))

    def forward(self, target: str, port: int) -> int:
        """Return a port of this machine that leads to a pod whatever the policies say, as kubectl port-forward does."""
        return self._on_machine(self.pods[target].dial(port))

    def close(self) -> None:
        """Cut everything."""
        for listener in self._listeners:
            self._forwarder.close(listener)
        self._forwarder.stop()
        for pod in self.pods.values():
            pod.holder.stop(0)

    def _to_pod(self, source: Labels | None, target: str, port: int) -> Dial:
        pod = self.pods[target]
        return self._judged(lets_through(self._policies, source, pod.labels, port), pod.dial(port))

    def _to_world(self, source: Labels, address: Address) -> Dial:
        return self._judged(lets_through(self._policies, source, None, HTTPS), dial_machine(*address))

    @staticmethod
    def _judged(allowed: bool, dial: Dial) -> Dial:
        return dial if allowed else lambda: (errno.ECONNREFUSED, socket.socket())

    def _serve(self, pod: PodNetwork, address: Address, dial: Dial) -> None:
        host, port = address
        server = pod.inside(partial(listen, port, host))
        self._listeners.append(self._forwarder.serve(server, dial, Line(), host_dialled=True))

    def _on_machine(self, dial: Dial) -> int:
        server = listen()
        port = int(server.getsockname()[1])
        self._listeners.append(self._forwarder.serve(server, dial, Line(), host_dialled=False))
        return port
