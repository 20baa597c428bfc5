"""Monitoring and the cluster of one sandbox. They start with the sandbox, or join it while it runs."""

import threading
from concurrent.futures import ThreadPoolExecutor

from sandbox.node.node import Node
from sandbox.node.watching import PodMonitoring
from sandbox.services.certificate import issue
from sandbox.services.kubernetes import Kubernetes
from sandbox.services.monitoring import NAME_FOR_HOSTS, PORT_FOR_HOSTS, Monitoring, MonitoringPorts
from sandbox.services.ports import LOOPBACK, choose
from sandbox.settings import Settings

MARKET_FOR_PODS, STORE_FOR_PODS = "market.sandbox.internal", "s3.sandbox.internal"
CONTROLLER_FOR_PODS = "controller.sandbox.internal"


class Observability:
    """Prometheus, Alertmanager, exporter, receiver, and the cluster: without nodes, or with one that runs them as pods.

    The receiver's port and certificate stand from the beginning. So a host that is older than the receiver reaches it as
    soon as it answers.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._certificate = issue(NAME_FOR_HOSTS)
        self._door_port = settings.door_port or choose(1)[0]
        self._one_join = threading.Lock()
        self._monitoring: Monitoring | PodMonitoring | None = None
        self._kubernetes: Kubernetes | Node | None = None
        self._controller: str | None = None  # host:port

    @property
    def outward(self) -> dict[str, tuple[str, int]]:
        """Return how hosts reach the receiver, as HostSpec describes it."""
        return {f"{NAME_FOR_HOSTS}:{PORT_FOR_HOSTS}": (LOOPBACK, self._door_port)}

    @property
    def ca_pem(self) -> str:
        """Return the certificate that hosts must trust to reach the receiver."""
        return self._certificate.ca

    @property
    def urls(self) -> dict[str, str]:
        """Return the URL of each service by name."""
        return {
            **(self._monitoring.urls if self._monitoring else {}),
            **({"kubernetes": self._kubernetes.url} if self._kubernetes else {}),
        }

    def plan(self) -> None:
        """Choose ports. Raises ServiceError for one that is taken."""
        self._monitoring, self._kubernetes = self._planned()

    def start_cluster(self) -> None:
        """Start the planned cluster, which takes the longest and needs nothing of the sandbox. Raises ServiceError."""
        assert self._kubernetes is not None
        self._kubernetes.start()

    def start_monitoring(self) -> None:
        """Start the planned monitoring, whose exporter asks the market. Raises ServiceError."""
        assert self._monitoring is not None
        self._monitoring.start()

    def join(self) -> None:
        """Start both beside a sandbox that runs. Joining twice is harmless. On a failure, end both and raise ServiceError."""
        with self._one_join:
            if self.urls:
                return
            monitoring, kubernetes = self._planned()
            try:
                with ThreadPoolExecutor(1) as beside:
                    cluster = beside.submit(kubernetes.start)
                    monitoring.start()
                    cluster.result()
            except BaseException:
                monitoring.stop()
                kubernetes.stop()
                raise
            self._monitoring, self._kubernetes = monitoring, kubernetes
            self._monitoring.scrape_controller(self._controller)

    def scrape_controller(self, address: str | None) -> None:
        """Let Prometheus read the controller at host:port, now or as soon as it runs; None takes the controller out."""
        with self._one_join:
            self._controller = address
            if self._monitoring is not None:
                self._monitoring.scrape_controller(address)

    def stop(self) -> None:
        """End both. Stopping twice is harmless."""
        for one in (self._monitoring, self._kubernetes):
            if one is not None:
                one.stop()

    @property
    def has_node(self) -> bool:
        """Whether the cluster runs pods."""
        return isinstance(self._kubernetes, Node)

    def _planned(self) -> tuple[Monitoring | PodMonitoring, Kubernetes | Node]:
        own = self._settings
        ports = MonitoringPorts(own.prometheus_port, own.alertmanager_port, own.exporter_port, self._door_port)
        if own.node_images is not None:
            images = sorted(own.node_images.glob("*.tar"))
            node = Node(own.state / "kubernetes", images, own.kubernetes_port, self._world())
            return PodMonitoring(node, ports, self._certificate), node
        monitoring = Monitoring(own.state / "monitoring", own.stack_config, ports, self._certificate)
        return monitoring, Kubernetes(own.state / "kubernetes", own.kubernetes_port)

    def _world(self) -> dict[str, tuple[str, int]]:
        """Return where pods find market, store and controller, as Pulumi.local.yaml names them for them."""
        own = self._settings
        named = {
            MARKET_FOR_PODS: own.market_port,
            STORE_FOR_PODS: own.store_port,
            CONTROLLER_FOR_PODS: own.controller_port,
        }
        return {name: (LOOPBACK, port) for name, port in named.items() if port}
