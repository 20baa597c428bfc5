"""All pods of a set of manifests, started together and looked at."""

import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox.services.programs import status
from tests.doubles.node.container import Container, Image
from tests.doubles.node.network import Address, Network

ANSWER_SECONDS = 5


class Node:
    """Runs each Deployment whose image is known; the others have only their place in the network.

    `secrets`: the content of Secrets by name; `images` by repository; `world`: names outside, and where their port 443 leads.
    """

    def __init__(
        self,
        folder: Path,
        manifests: Sequence[Mapping[str, Any]],
        secrets: Mapping[str, Mapping[str, str]],
        images: Mapping[str, Image],
        world: Mapping[str, Address],
    ) -> None:
        self._folder, self._images = folder, images
        self._deployments = {each["metadata"]["name"]: each for each in manifests if each["kind"] == "Deployment"}
        self._services = [each for each in manifests if each["kind"] == "Service"]
        self._files = {("secret", name): content for name, content in secrets.items()} | {
            ("configMap", each["metadata"]["name"]): each["data"] for each in manifests if each["kind"] == "ConfigMap"
        }
        policies = [each for each in manifests if each["kind"] == "NetworkPolicy"]
        folder.mkdir(parents=True, exist_ok=True)
        self.network = Network(policies, world, folder)
        self.containers: dict[str, Container] = {}

    def __enter__(self) -> "Node":
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every pod."""
        for container in self.containers.values():
            container.stop()
        self.network.close()

    def wait(self, name: str) -> None:
        """Return when a pod's startup probe answers, within the time that the probe gives it."""
        container = self.containers[name]
        probe = self._container(name)["startupProbe"]
        port = self.forward(name, self.network.pods[name].ports[probe["httpGet"]["port"]])
        deadline = time.monotonic() + probe["periodSeconds"] * probe["failureThreshold"]
        while status(f"http://127.0.0.1:{port}{probe['httpGet']['path']}") != 200:
            assert container.child is not None
            assert container.child.status() is None, container.child.tail()
            assert time.monotonic() < deadline, container.child.tail()
            time.sleep(0.1)

    def forward(self, name: str, port: int) -> int:
        """Return a port of this machine that leads to a pod, as kubectl port-forward does."""
        return self.network.forward(name, port)

    def reaches(self, source: str, name: str, port: int) -> bool:
        """Say whether an HTTP request from a pod to a name of the network or the world is answered."""
        pod = self.network.pods[source]
        address = pod.names[name], port

        def ask() -> bool:
            try:
                with socket.create_connection(address, ANSWER_SECONDS) as connection:
                    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    return bool(connection.recv(1))
            except ConnectionError:
                return False

        return pod.inside(ask)

    def _start(self) -> None:
        for name, deployment in self._deployments.items():
            labels = deployment["spec"]["template"]["metadata"]["labels"]
            ports = {port["name"]: port["containerPort"] for port in self._container(name)["ports"]}
            self.network.add(name, labels, ports)
        self.network.connect({each["metadata"]["name"]: self._leads(each) for each in self._services})
        for name, deployment in self._deployments.items():
            image = self._images.get(self._container(name)["image"].partition(":")[0])
            if image is not None:
                pod, place = deployment["spec"]["template"]["spec"], self._folder / name
                container = Container(pod, image, self._files, place, self.network.pods[name], self._folder / "disks")
                self.containers[name] = container
                container.start()

    def _leads(self, service: Mapping[str, Any]) -> tuple[str, Mapping[int, int]]:
        selector = service["spec"]["selector"].items()
        [name] = [name for name, pod in self.network.pods.items() if selector <= pod.labels.items()]
        return name, {
            port["port"]: self.network.pods[name].ports[port["targetPort"]] for port in service["spec"]["ports"]
        }

    def _container(self, name: str) -> Mapping[str, Any]:
        [container] = self._deployments[name]["spec"]["template"]["spec"]["containers"]
        return dict(container)
