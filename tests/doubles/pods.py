"""The pods of a namespace on a real node: their processes on this machine, their networks, their ways."""

import errno
import re
import select
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.node.api import condition
from sandbox.node.node import Node, dial_within

ANSWER_SECONDS = 5.0
NAME = "app.kubernetes.io/name"


@dataclass(frozen=True)
class Pods:
    """The pods of one namespace; each Deployment of ours has one."""

    node: Node
    namespace: str

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}"

    def of(self, component: str) -> dict[str, Any]:
        """Return the pod of a component; the one that ends does not count."""
        found = (self.node.api.get(f"{self.path}/pods") or {"items": []})["items"]
        [pod] = [
            each
            for each in found
            if each["metadata"]["labels"].get(NAME) == component and "deletionTimestamp" not in each["metadata"]
        ]
        return dict(pod)

    def ready(self, component: str) -> bool:
        """Say whether the component's Deployment has its pod, and the pod is ready."""
        place = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{component}"
        found = self.node.api.get(place)
        rolled = (found or {}).get("status", {})
        return (
            condition(found, "Available")
            and rolled.get("observedGeneration") == (found or {})["metadata"]["generation"]
        )

    def process(self, component: str) -> int:
        """Return the first process of the pod's container, as this machine counts it."""
        uid = self.of(component)["metadata"]["uid"]
        found = [one for one in processes_of(uid) if Path(f"/proc/{one}/comm").read_text().strip() != "pause"]
        return min(found)

    def reaches(self, source: str, address: str, port: int) -> bool:
        """Say whether a connection from the pod of a component to an address is taken."""
        return takes(self.process(source), address, port)

    def service(self, name: str) -> str:
        """Return the address of a service."""
        return self.node.service(self.namespace, name)


def processes_of(uid: str) -> list[int]:
    """Return the processes in the control groups of a pod."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            if re.search(rf"pod{uid}", file.read_text()):
                found.append(int(file.parent.name))
        except OSError:  # it has ended
            continue
    return found


def takes(process: int, address: str, port: int) -> bool:
    """Say whether a connection from a process's network is taken: not refused, not dropped, not without a way."""
    number, connection = dial_within(process, address, port)
    with connection:
        if number not in (0, errno.EINPROGRESS):
            return False
        _, writable, _ = select.select([], [connection], [], ANSWER_SECONDS)
        return bool(writable) and connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
