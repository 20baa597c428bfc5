# Long because one stack with a controller on one node takes minutes to come up, and every test looks at that one.
"""The controller as a pod: the real program declares it, and it rents, serves and gives back as it does elsewhere.

Market, bucket and rented hosts have public addresses to it, and its network policies hold. Set-up brings what it needs:
python3 -m tools.setup --parts node,controller-image
"""

import os
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from bootstrap.clock import SystemClock
from bootstrap.probe import probe
from components.controller_manifests import POSTGRES_PORT
from monitoring.kubernetes.settings import CONTROLLER_PORT
from offline import controller_images
from offline.kubernetes_plugin.cluster import Cluster
from offline.kubernetes_plugin.kubeconfig import reach
from sandbox.node.node import Node
from sandbox.node.plan import API_PORT, API_SERVICE
from sandbox.services.object_store import ADMIN, REGION
from tests.doubles.cloud import REPO, Cloud, running_cloud
from tests.doubles.engine import pulumi_on_path
from tests.doubles.fleet_stack import stack_of_its_own
from tests.doubles.own_node import program
from tests.doubles.pods import Pods, takes
from tests.doubles.ports import free_ports
from tests.doubles.pulumi_stack import Engine, Stack, environment
from tests.doubles.real_node import images, images_of_controller
from tests.doubles.until import until

__all__ = ["pulumi_on_path"]

pytestmark = [
    pytest.mark.host,
    pytest.mark.engine,
    pytest.mark.deep,
    pytest.mark.timeout(1200),
    pytest.mark.xdist_group("node"),
    # Of the node's network, and of the world that its pods reach.
    pytest.mark.allow_hosts(["127.0.0.0/8", "10.222.0.0/16", "10.244.0.0/16", "10.96.0.0/16", "198.18.0.0/15"]),
]

SPACE, STATES, FLEET, CLIENT = "gpu-fleet-controller", "states", "burst", "team"
MARKET, STORE = "market.example.net", "store.example.net"
API_PORT_OF_NODE = 30444
PATIENCE_SECONDS, SLOT_SECONDS = 180, 420
PODS = ("postgres", "controller")


@dataclass
class Controlled:
    """The stack whose controller runs on the node, and who asks it."""

    node: Node
    cloud: Cloud
    stack: Stack
    pods: Pods
    cluster: Cluster
    outputs: dict[str, Any]
    key: str
    seconds: float  # from the call of `up` until every pod was ready
    port: int  # of loopback, to the API inside

    def call(self, method: str, path: str, **body: Any) -> httpx.Response:
        """Ask the API as a client inside the cluster does."""
        url, headers = f"http://127.0.0.1:{self.port}{path}", {"X-API-Key": self.key}
        return httpx.request(method, url, headers=headers, json=body or None, trust_env=False, timeout=30)

    def outside(self, folder: Path, method: str, path: str, **body: Any) -> httpx.Response:
        """Ask the API as a client outside does, which trusts the stack's CA alone."""
        ca = folder / "ca.pem"
        ca.write_text(self.outputs["caCertificate"])
        url = f"{self.outputs['controller']['api']}{path}"
        headers = {"X-API-Key": self.key}
        return httpx.request(
            method, url, headers=headers, json=body or None, verify=str(ca), trust_env=False, timeout=30
        )

    def is_ready(self) -> bool:
        """Say whether the API answers that database and applied config are known."""
        try:
            return self.call("GET", "/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def stacks(self) -> list[str]:
        """Return the names of the stacks in the backend."""
        rows = self.stack.call("stack", "ls").stdout.splitlines()[1:]
        return [line.split()[0].rstrip("*") for line in rows if line.strip()]

    def said(self) -> str:
        """Return the end of what the controller's pod has said."""
        name = self.pods.of("controller")["metadata"]["name"]
        [file] = Path(self.node.plan.home, "pod-logs").glob(f"{SPACE}_{name}_*/controller/*.log")
        return file.read_text()[-6000:]


@pytest.fixture(scope="module")
def ports() -> tuple[int, int]:
    """The ports of market and store on this machine."""
    market, store = free_ports(2)
    return market, store


@pytest.fixture(scope="module")
def node(ports: tuple[int, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """The node, whose pods reach market and store by public addresses. It shadows the node of the other tests."""
    market, store = ports
    world = {MARKET: ("127.0.0.1", market), STORE: ("127.0.0.1", store)}
    with Node(tmp_path_factory.mktemp("node") / "home", [*images(), *images_of_controller()], world=world) as running:
        yield running


@pytest.fixture(scope="module")
def cloud(node: Node, ports: tuple[int, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    market, store = ports
    given: dict[str, Any] = {
        "address": node.plan.rented,
        "market_port": market,
        "store_port": store,
        "store_like_s3": True,
    }
    with running_cloud(tmp_path_factory.mktemp("cloud"), **given) as running:
        yield running


@pytest.fixture(scope="module")
def own_engine(
    node: Node, cloud: Cloud, pulumi_on_path: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """An engine whose states lie in a bucket, as those of people and a controller in a cluster do."""
    keys = {"aws_access_key_id": ADMIN.access_key, "aws_secret_access_key": ADMIN.secret_key}
    boto3.client("s3", endpoint_url=cloud.store_endpoint, region_name=REGION, **keys).create_bucket(Bucket=STATES)
    folder = tmp_path_factory.mktemp("engine")
    own = {"PULUMI_BACKEND_URL": backend(node), "PYTHONPATH": str(REPO)}
    own |= {name.upper(): value for name, value in keys.items()}
    made = Engine(folder, {**environment(folder, pulumi_on_path), **own})
    yield made
    made.close()


def backend(node: Node) -> str:
    """Return the URL of the states' bucket, which is the same on this machine and in a pod."""
    place = f"{node.plan.name_address(1)}:443"
    return f"s3://{STATES}/fleet?endpoint={place}&region={REGION}&s3ForcePathStyle=true&disableSSL=true"


@pytest.fixture(scope="module")
def controlled(node: Node, cloud: Cloud, own_engine: Engine) -> Iterator[Controlled]:
    with stack_of_its_own(cloud, own_engine, "dev") as stack:
        (stack.folder / "__main__.py").write_text(program((REPO / "__main__.py").read_text(), node.plan.address))
        (stack.folder / "kubeconfig").write_text(node.kubeconfig())
        stack.write_config(stack_config(node, cloud))
        began = time.monotonic()
        stack.up()
        pods = Pods(node, SPACE)
        for name in PODS:
            until(lambda name=name: pods.ready(name), f"the pod of {name}", PATIENCE_SECONDS)  # type: ignore[misc]
        seconds = time.monotonic() - began
        # The proxy learns of a pod moments after it is ready.
        until(lambda: arrives(node.plan.gateway, node.plan.address), "the API's port of the node", PATIENCE_SECONDS)
        outputs = stack.outputs()
        port = node.forward(pods.service("controller"), CONTROLLER_PORT)
        key = outputs["elastic"]["clients"][CLIENT]["apiKey"]
        cluster = Cluster(*reach(node.kubeconfig()))
        yield Controlled(node, cloud, stack, pods, cluster, outputs, key, seconds, port)


def stack_config(node: Node, cloud: Cloud) -> dict[str, Any]:
    """The config of a stack with an elastic fleet, and a controller in its own cluster."""
    config = cloud.stack_config()
    fleets = config["gpu-fleet:fleets"]
    fleets[FLEET] = {**fleets.pop("chat"), "replicas": {"max": 2, "downSeconds": 5, "idleSeconds": 5}}
    config["gpu-fleet:market"]["url"] = f"http://{node.plan.name_address(0)}:443"
    config["gpu-fleet:store"]["endpoint"] = f"http://{node.plan.name_address(1)}:443"
    config["gpu-fleet:budget"] = {"usdPerDay": 100_000, "usdPerMonth": 1_000_000}  # at the market's pace here
    config["gpu-fleet:clients"] = {CLIENT: {"maxInstances": 2}}
    config["gpu-fleet:cluster"] = {
        "location": "fsn1",
        "adminCidrs": ["127.0.0.1/32"],
        "k3s": {"version": "v1.34.2+k3s1", "sha256": "a" * 64},
        "backups": {"enabled": False},
        "apiPort": API_PORT_OF_NODE,
    }
    config["gpu-fleet:hcloudToken"] = "0" * 64
    pod = {
        "image": local(controller_images.OWN),
        "postgresImage": controller_images.POSTGRES,
        "clientNetworks": [f"{node.plan.gateway}/32"],  # this machine
        "memoryMb": 1024,
    }
    config["gpu-fleet:controller"] = {"backend": backend(node), "kubernetes": pod}
    return config


def local(name: str) -> str:
    """Return the name of an image without the registry's host that containerd adds."""
    return name.removeprefix("docker.io/library/")


def test_the_pods_come_up_as_the_program_declares_them(controlled: Controlled) -> None:
    print(f"\nfrom up to ready pods: {controlled.seconds:.0f} s")
    assert controlled.is_ready()
    for name in PODS:
        process, pod = controlled.pods.process(name), controlled.pods.of(name)["spec"]
        facts = dict(re.findall(r"^(\w+):\s+(.*)$", Path(f"/proc/{process}/status").read_text(), re.MULTILINE))
        assert facts["Uid"].split() == [str(pod["securityContext"]["runAsUser"])] * 4
        assert {facts[key] for key in ("CapEff", "CapPrm", "CapBnd")} == {"0" * 16}
        assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")


def test_a_claim_is_served_in_the_sandbox_and_leaves_nothing_rented(controlled: Controlled, tmp_path: Path) -> None:
    wanted = {"model": "tiny"}
    asked = controlled.outside(tmp_path, "POST", "/provision", **wanted)
    assert asked.status_code == 202, asked.text
    claim = asked.json()["id"]

    def status() -> str:
        return str(controlled.call("GET", f"/provision/{claim}").json()["status"])

    began = time.monotonic()
    try:
        until(lambda: status() == "ready", "the claim's instance", SLOT_SECONDS)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{controlled.said()}") from None
    print(f"\nfrom claim to ready: {time.monotonic() - began:.0f} s")
    [instance] = controlled.call("GET", f"/provision/{claim}").json()["instances"]
    ca = controlled.outputs["caCertificate"]
    assert probe(instance["endpoint"], ca, instance["token"], "tiny", SystemClock(), 60).text
    assert len(controlled.cloud.rented()) == 1

    # The pod is killed: the next one finds its rows, and serves the claim by the same instance.
    before = controlled.pods.of("controller")["metadata"]
    place = {"name": before["name"], "namespace": SPACE}
    controlled.cluster.delete({"apiVersion": "v1", "kind": "Pod", "metadata": place})
    until(lambda: another(controlled, before["uid"]), "the next controller", PATIENCE_SECONDS)
    until(controlled.is_ready, "its API", PATIENCE_SECONDS)
    assert status() == "ready"
    assert len(controlled.cloud.rented()) == 1

    assert controlled.call("DELETE", f"/provision/{claim}").status_code == 200
    until(lambda: not controlled.cloud.rented(), "an empty account", SLOT_SECONDS)
    until(lambda: [name for name in controlled.stacks() if ".slot." in name] == [], "no slot's stack", SLOT_SECONDS)
    said = controlled.said()
    assert controlled.key not in said
    assert instance["token"] not in said


def another(controlled: Controlled, uid: str) -> bool:
    """Say whether the controller has another pod than before, and it is ready."""
    try:
        return controlled.pods.of("controller")["metadata"]["uid"] != uid and controlled.pods.ready("controller")
    except ValueError:  # between the two
        return False


def test_who_reaches_whom_is_as_the_page_says(controlled: Controlled) -> None:
    pods, plan = controlled.pods, controlled.node.plan
    database = pods.of("postgres")["status"]["podIP"]
    market, rented = plan.name_address(0), plan.rented

    assert pods.reaches("controller", pods.service("postgres"), POSTGRES_PORT)
    assert pods.reaches("controller", market, 443)
    with socket.create_server((rented, 0)) as host:
        assert pods.reaches("controller", rented, host.getsockname()[1])  # a host's port, as the market maps it
        assert not pods.reaches("postgres", rented, host.getsockname()[1])
    assert not pods.reaches("controller", API_SERVICE, 443)
    assert not pods.reaches("controller", plan.address, API_PORT)
    assert not pods.reaches("postgres", market, 443)
    assert not pods.reaches("postgres", pods.service("controller"), CONTROLLER_PORT)
    assert not takes(os.getpid(), database, POSTGRES_PORT)


def test_clients_from_outside_come_over_tls_from_the_networks_of_config(controlled: Controlled, tmp_path: Path) -> None:
    address, inside = controlled.node.plan.address, controlled.pods.of("controller")["status"]["podIP"]

    assert controlled.outputs["controller"]["api"] == f"https://{address}:{API_PORT_OF_NODE}"
    assert controlled.outside(tmp_path, "GET", "/fleets").json()[0]["name"] == FLEET
    assert controlled.outside(tmp_path, "GET", "/metrics").status_code == 404
    assert controlled.call("GET", "/metrics").status_code == 200
    assert not takes(os.getpid(), inside, CONTROLLER_PORT)  # in plain it is for pods of the cluster alone
    assert arrives(controlled.node.plan.gateway, address)
    assert not arrives(controlled.node.plan.rented, address)  # an address of this machine that config does not name


def arrives(source: str, address: str) -> bool:
    """Say whether a connection from an address of this machine to the API's port of the node is taken."""
    try:
        with socket.create_connection((address, API_PORT_OF_NODE), timeout=5, source_address=(source, 0)):
            return True
    except OSError:
        return False


def test_destroy_leaves_nothing(controlled: Controlled) -> None:
    controlled.stack.destroy()

    assert controlled.cloud.rented() == []
    for kind in ("pods", "services", "persistentvolumeclaims"):
        until(lambda kind=kind: held(controlled, kind) == [], kind, PATIENCE_SECONDS)  # type: ignore[misc]


def held(controlled: Controlled, kind: str) -> list[str]:
    found = controlled.node.api.get(f"{controlled.pods.path}/{kind}") or {"items": []}
    return [row["metadata"]["name"] for row in found["items"]]
