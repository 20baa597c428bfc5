"""A stack whose own cluster on the emulated Hetzner runs its monitoring as pods, and what can be asked of it."""

import contextlib
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from offline.kubernetes_plugin.cluster import Cluster, Refused
from providers.identity.metrics_credentials import Reporter
from providers.kubeconfig import reach
from sandbox.market.server import KEY
from sandbox.node.api import condition
from sandbox.testing import running_market
from tests.doubles.cluster_world import SECRETS, STORE_OF_PODS, VERSION, World, running_world, write_config
from tests.doubles.hcloud_plugin import cluster_stack
from tests.doubles.pulumi_stack import Engine, Stack
from tests.doubles.receiver import Reports, sample

PODS = frozenset({"prometheus", "alertmanager", "exporter", "door"})  # Grafana's image cannot be had here
SPACE, MARKET = "gpu-fleet", "market.example.net"
GRAFANA = "TEST_GRAFANA_SECONDS"  # a variable: how long an update waits for it; without it, not at all
# In front of the program of the cluster.
BEFORE = """
import os
import pulumi

def as_long_as_told(arguments):
    if arguments.name.startswith("grafana-") and arguments.type_.startswith("kubernetes:"):
        seconds = os.environ.get("TEST_GRAFANA_SECONDS")
        own = {"pulumi.com/timeoutSeconds": seconds} if seconds else {"pulumi.com/skipAwait": "true"}
        arguments.props["metadata"].setdefault("annotations", {}).update(own)
    return pulumi.ResourceTransformationResult(arguments.props, arguments.opts)

pulumi.runtime.register_stack_transformation(as_long_as_told)
"""
AFTER = """
pulumi.export("ca", identity.caCertificate)
"""


@contextlib.contextmanager
def watched_world(folder: Path, time_scale: float = 300.0) -> Iterator[World]:
    """Run a Hetzner whose servers run pods, and a market that they reach. Raises MachinesError, ServiceError."""
    with running_market() as market:
        ways = {f"{MARKET}:443": ("127.0.0.1", int(market.url.rpartition(":")[2]))}
        with running_world(folder, time_scale, pods=True, outward=ways) as world:
            yield world


def watched_stack(engine: Engine, world: World) -> Stack:
    """Return a stack that makes its cluster, and waits until its monitoring runs there."""
    made = cluster_stack(engine)
    program = made.folder / "__main__.py"
    program.write_text(BEFORE + program.read_text() + AFTER)
    write(made, world, VERSION)
    return made


def write(stack: Stack, world: World, version: str) -> None:
    own = {"image": "gpu-fleet-monitoring:local", "wait": True}
    ways = {"marketUrl": f"http://{MARKET}:443", "storeEndpoint": f"http://{STORE_OF_PODS}:443"}
    write_config(stack, world, version, {**own, **ways})
    config = stack.read_config()
    stack.write_config({**config, "gpu-fleet:exporterMarketKey": KEY})


class Watching:
    """The cluster of a stack: its pods, what hosts tell the receiver at its public port, and what Prometheus has."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.outputs = stack.outputs()
        self._client, _ = reach(self.outputs["kubeconfig"])
        self._cluster = Cluster(self._client, SPACE)
        self.ca = folder / "ca.pem"
        self.ca.write_text(self.outputs["ca"])

    def pods(self) -> dict[str, dict[str, Any]]:
        """Return the pods by component."""
        found = self._cluster.pods(SPACE, {"app.kubernetes.io/part-of": "gpu-fleet"})
        return {pod["metadata"]["labels"]["app.kubernetes.io/name"]: pod for pod in found}

    def node(self) -> dict[str, Any]:
        """Return the cluster's one node."""
        [node] = self._client.get("/api/v1/nodes").json()["items"]
        return dict(node)

    def ready(self) -> set[str]:
        """Return the components whose pods are ready; nothing while the API server does not answer."""
        with contextlib.suppress(httpx.HTTPError, Refused):
            return {name for name, pod in self.pods().items() if condition(pod, "Ready")}
        return set()

    def started(self) -> dict[str, str]:
        """Return since when each component's container runs."""
        rows = {name: pod["status"]["containerStatuses"] for name, pod in self.pods().items() if name in PODS}
        return {name: row["state"]["running"]["startedAt"] for name, [row] in rows.items()}

    def tell(self, value: float) -> None:
        """Report a sample as a host does, at the receiver's port of the server's public address, whose certificate holds."""
        context = ssl.create_default_context(cafile=str(self.ca))
        httpx.get(self.outputs["receiver"], verify=context)
        host = Reports(
            self.outputs["receiver"], self.ca, Reporter("7", "chat-0", "abc"), SECRETS["gpu-fleet:metricsKey"]
        )
        answer = host.send([sample("vast_instance_idle_seconds", value, time.time())])
        assert answer.status_code == 204

    def values(self, expression: str) -> list[float]:
        """Ask Prometheus' pod through the API server."""
        path = f"/api/v1/namespaces/{SPACE}/services/prometheus:9090/proxy/api/v1/query"
        answer = self._client.get(path, params={"query": expression})
        if not answer.is_success:
            return []
        return [float(row["value"][1]) for row in answer.json()["data"]["result"]]

    def claims(self) -> dict[str, tuple[str, str]]:
        """Return phase and storage class of each claim."""
        found = self._client.get(f"/api/v1/namespaces/{SPACE}/persistentvolumeclaims").json()["items"]
        return {row["metadata"]["name"]: (row["status"]["phase"], row["spec"]["storageClassName"]) for row in found}
