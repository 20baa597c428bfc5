"""The sandbox's monitoring as pods: the stack declares them, and this leads the usual ports of loopback to them."""

import base64
import errno
import socket
import threading

from sandbox.hosts.forwarder import Dial, Forwarder, Listener, listen
from sandbox.hosts.pump import Line
from sandbox.node.node import Node, dial_within
from sandbox.services.certificate import Certificate
from sandbox.services.child import ServiceError
from sandbox.services.monitoring import MonitoringPorts
from sandbox.services.port_owner import taken
from sandbox.services.ports import LOOPBACK, choose, free

NAMESPACE = "gpu-fleet"  # of the sandbox's stack
SECRET = "door-certificate"
LOOK_SECONDS = 0.5
# By the sandbox's name: the service in the cluster, and its port.
SERVICES = {
    "prometheus": ("prometheus", 9090),
    "alertmanager": ("alertmanager", 9093),
    "exporter": ("exporter", 9101),
    "door": ("door-outside", 443),
}


class PodMonitoring:
    """Prometheus, Alertmanager, exporter and receiver of a node's pods, as the sandbox's own programs are reached.

    As cert-manager would, it makes the receiver's certificate in the stack's namespace as soon as that is there.
    """

    def __init__(self, node: Node, ports: MonitoringPorts, certificate: Certificate) -> None:
        self._node, self._certificate = node, certificate
        wanted = (ports.prometheus, ports.alertmanager, ports.exporter, ports.door)
        for port, option in zip(wanted, SERVICES, strict=True):
            if port and not free(port):
                raise ServiceError(taken(port, option, f"run `python -m sandbox up --{option}-port PORT`"))
        spare = choose(len(wanted))
        self._ports = {name: port or spare.pop() for name, port in zip(SERVICES, wanted, strict=True)}
        self._forwarder: Forwarder | None = None
        self._listeners: list[Listener] = []
        self._over = threading.Event()
        self._certifier = threading.Thread(target=self._certify, name="receiver's certificate", daemon=True)

    @property
    def urls(self) -> dict[str, str]:
        """Return the URL of each program, by name. It answers once the stack has its pods."""
        return {
            name: f"{'https' if name == 'door' else 'http'}://{LOOPBACK}:{port}" for name, port in self._ports.items()
        }

    def start(self) -> None:
        """Listen at every port."""
        self._forwarder = Forwarder()
        for name, port in self._ports.items():
            self._listeners.append(
                self._forwarder.serve(listen(port), self._dial(*SERVICES[name]), Line(), host_dialled=False)
            )
        self._certifier.start()

    def stop(self) -> None:
        """Listen no more. Stopping twice is harmless."""
        self._over.set()
        if self._forwarder is not None:
            for listener in self._listeners:
                self._forwarder.close(listener)
            self._forwarder.stop()
            self._forwarder, self._listeners = None, []

    def scrape_controller(self, address: str | None) -> None:
        """Do nothing: the pods' Prometheus reads the controller by its name of the world, as the stack's config says."""

    def _dial(self, service: str, port: int) -> Dial:
        def dial() -> tuple[int, socket.socket]:
            try:
                address = self._node.service(NAMESPACE, service)
            except ServiceError:  # the stack is not up
                return errno.ECONNREFUSED, socket.socket()
            return dial_within(self._node.first, address, port)

        return dial

    def _certify(self) -> None:
        space = f"/api/v1/namespaces/{NAMESPACE}"
        while not self._over.wait(LOOK_SECONDS):
            api = self._node.api
            if api.get(space) is not None and api.get(f"{space}/secrets/{SECRET}") is None:
                try:
                    api.apply({f"{space}/secrets/{SECRET}": self._secret()})
                except ServiceError:  # the namespace is about to go
                    continue

    def _secret(self) -> dict[str, object]:
        files = {"tls.crt": self._certificate.chain, "tls.key": self._certificate.key}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": SECRET, "namespace": NAMESPACE},
            "type": "kubernetes.io/tls",
            "data": {name: base64.b64encode(text.encode()).decode() for name, text in files.items()},
        }
