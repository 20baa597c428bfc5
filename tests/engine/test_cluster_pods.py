"""From an empty Hetzner account to samples in Prometheus, with pods that run: the walk of docs/cluster.md with `wait: true`.

The real engine and Pulumi's logic for Hetzner; emulated servers with the real kubelet. Grafana has no image here: its pod is
left out of what `up` waits for.
"""

import contextlib
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from offline.kubernetes_plugin.cluster import Cluster
from providers.identity.metrics_credentials import Reporter
from providers.kubeconfig import reach
from sandbox.hetzner.machines import MachinesError
from sandbox.market.server import KEY
from sandbox.node import cgroups
from sandbox.services.child import ServiceError
from sandbox.testing import running_market
from tests.doubles.cluster_world import SECRETS, STORE_OF_PODS, VERSION, World, running_world, write_config
from tests.doubles.hcloud_plugin import NEEDS_PLUGIN, cluster_stack
from tests.doubles.node_traces import left, look
from tests.doubles.pulumi_stack import Engine, Stack
from tests.doubles.receiver import Reports, sample
from tests.doubles.server_traces import GROUPS, processes
from tests.doubles.until import until

pytestmark = [
    pytest.mark.engine,
    pytest.mark.host,
    pytest.mark.monitoring,
    pytest.mark.deep,
    pytest.mark.xdist_group("node"),
    pytest.mark.timeout(1200),
    pytest.mark.allow_hosts(["127.0.0.0/8"]),
    NEEDS_PLUGIN,
]
NEWER, SPACE = "v1.34.3+k3s1", "gpu-fleet"
PODS = {"prometheus", "alertmanager", "exporter", "door"}
MARKET = "market.example.net"
OWN = ("--target", "**::cluster-*")
# In front of the program of the cluster: nothing waits for Grafana, and the test gets the CA that hosts get.
BEFORE = """
import pulumi

def unawaited(arguments):
    if arguments.name.startswith("grafana-") and arguments.type_.startswith("kubernetes:"):
        annotations = arguments.props["metadata"].setdefault("annotations", {})
        annotations["pulumi.com/skipAwait"] = "true"
    return pulumi.ResourceTransformationResult(arguments.props, arguments.opts)

pulumi.runtime.register_stack_transformation(unawaited)
"""
AFTER = """
pulumi.export("ca", identity.caCertificate)
"""


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("hetzner")
    before = look(folder)
    with contextlib.ExitStack() as undo:
        market = undo.enter_context(running_market())
        port = int(market.url.rpartition(":")[2])
        try:
            ways = {f"{MARKET}:443": ("127.0.0.1", port)}
            made = undo.enter_context(running_world(folder, pods=True, inward=ways))
        except (MachinesError, ServiceError) as error:
            pytest.skip(str(error))
        yield made
    assert left(before, look(folder)) == []
    assert (processes(folder), cgroups.named(GROUPS)) == ([], [])


@pytest.fixture
def stack(world: World, engine: Engine) -> Stack:
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

    def ready(self) -> set[str]:
        """Return the components whose pods are ready; nothing while the API server does not answer."""
        with contextlib.suppress(Exception):
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


def condition(pod: dict[str, Any], kind: str) -> bool:
    rows = pod["status"].get("conditions", [])
    return any(row["type"] == kind and row["status"] == "True" for row in rows)


def test_monitoring_runs_as_pods_from_an_empty_account_through_upgrade_and_loss_to_nothing(
    stack: Stack, world: World, tmp_path: Path, record_property: Any
) -> None:
    before, began = look(world.home), time.monotonic()
    stack.up()
    record_property("seconds from an empty account until all pods are ready", round(time.monotonic() - began, 1))
    watching = Watching(stack, tmp_path)

    assert watching.ready() == PODS, "up has waited for them"
    [grafana] = watching.pods()["grafana"]["status"]["containerStatuses"]
    assert grafana["state"]["waiting"]["reason"] in ("ErrImagePull", "ImagePullBackOff")
    claims = dict.fromkeys(("prometheus-data", "alertmanager-data"), ("Bound", "local-path"))
    assert watching.claims() == claims
    assert len(list(world.home.glob("servers/*/attached/*/storage/pvc-*"))) == len(claims), "on Hetzner's volume"
    watching.tell(5)
    last = "last_over_time(vast_instance_idle_seconds{instance_id='7'}[1h])"
    until(lambda: watching.values(last) == [5], "the sample in Prometheus")
    up = "count(up{job!='grafana'} == 1)"
    until(lambda: watching.values(up) == [len(PODS)], "every part, read by Prometheus")
    assert look(world.home).settings == before.settings
    assert "unchanged" in stack.preview("--expect-no-changes").text

    ran = watching.started()
    write(stack, world, NEWER)
    assert f"{NEWER} serves at" in stack.up().text
    until(lambda: watching.ready() == PODS, "the pods after the upgrade")
    assert watching.started() == ran, "pods go on while k3s is changed"

    [server] = world.client.servers.get_all()
    server.delete().wait_until_finished()
    stack.refresh(*OWN)
    assert "restore  snapshot before-" in stack.up(*OWN).text
    stack.up()
    until(lambda: watching.ready() == PODS, "the pods of the lost server")
    until(lambda: watching.values(last) == [5], "the sample of before, which is on the volume")
    assert min(watching.started().values()) > max(ran.values())
    assert "unchanged" in stack.preview("--expect-no-changes").text

    stack.destroy()
    assert world.kinds() == {}
    assert (processes(world.home), cgroups.named(GROUPS)) == ([], [])
