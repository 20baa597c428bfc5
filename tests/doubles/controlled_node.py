"""A stack whose controller runs as a pod on a real node, over an emulated market, its hosts and a bucket for states.

The real program declares all of it. Market, bucket and hosts have public addresses to pods. Set-up brings the images:
python3 -m tools.setup --parts node,controller-image
"""

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx

from monitoring.kubernetes.settings import CONTROLLER_PORT
from offline import controller_images
from offline.kubernetes_plugin.cluster import Cluster
from offline.kubernetes_plugin.kubeconfig import reach
from sandbox.node.node import Node
from sandbox.services.object_store import ADMIN, REGION
from tests.doubles.cloud import REPO, Cloud, running_cloud
from tests.doubles.fleet_stack import stack_of_its_own
from tests.doubles.own_node import program
from tests.doubles.pods import Pods
from tests.doubles.ports import free_ports
from tests.doubles.pulumi_stack import Engine, Stack, environment
from tests.doubles.real_node import images, images_of_controller
from tests.doubles.until import until

SPACE, FLEET = "gpu-fleet-controller", "burst"
STATES, CLIENT = "states", "team"
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

    def outside(self) -> httpx.Client:
        """Return a client outside the cluster, which trusts the stack's CA alone."""
        trusted = ssl.create_default_context(cadata=self.outputs["caCertificate"])
        headers = {"X-API-Key": self.key}
        url = self.outputs["controller"]["api"]
        return httpx.Client(base_url=url, headers=headers, verify=trusted, trust_env=False, timeout=SLOT_SECONDS)

    def is_ready(self) -> bool:
        """Say whether the API answers that database and applied config are known."""
        try:
            return self.call("GET", "/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def claimed(self) -> str:
        """Claim an instance from outside; return the claim's id."""
        with self.outside() as client:
            asked = client.post("/provision", json={"model": "tiny"})
        assert asked.status_code == 202, asked.text
        return str(asked.json()["id"])

    def followed(self, claim: str) -> str:
        """Follow a claim's events from outside to their end; return the last one's name. Gives up at last."""
        last, deadline = "", time.monotonic() + SLOT_SECONDS
        with self.outside() as client, client.stream("GET", f"/provision/{claim}/events") as events:
            for line in events.iter_lines():
                last = line.removeprefix("event: ") if line.startswith("event: ") else last
                if time.monotonic() > deadline:
                    break
        return last

    def stacks(self) -> list[str]:
        """Return the names of the slots' stacks in the backend."""
        rows = self.stack.call("stack", "ls").stdout.splitlines()[1:]
        return [name for name in (line.split()[0].rstrip("*") for line in rows if line.strip()) if ".slot." in name]

    def restarts(self, component: str) -> int:
        """Return how often the container of a pod has started anew."""
        [row] = self.pods.of(component)["status"]["containerStatuses"]
        return int(row["restartCount"])

    def said(self) -> str:
        """Return the end of what the controller's pod has said."""
        name = self.pods.of("controller")["metadata"]["name"]
        files = Path(self.node.plan.home, "pod-logs").glob(f"{SPACE}_{name}_*/controller/*.log")
        return "".join(file.read_text() for file in sorted(files))[-6000:]


@contextlib.contextmanager
def running_controller(folder: Path, path_with_engine: str) -> Iterator[Controlled]:
    """Run all of it until the block ends; the pods are ready, and the API's port of the node is open."""
    market, store = free_ports(2)
    world = {MARKET: ("127.0.0.1", market), STORE: ("127.0.0.1", store)}
    with contextlib.ExitStack() as undo:
        node = undo.enter_context(Node(folder / "node", [*images(), *images_of_controller()], world=world))
        given: dict[str, Any] = {"address": node.plan.rented, "market_port": market, "store_port": store}
        (folder / "cloud").mkdir()
        cloud = undo.enter_context(running_cloud(folder / "cloud", store_like_s3=True, **given))
        engine = engine_of(folder / "engine", node, cloud, path_with_engine)
        undo.callback(engine.close)
        stack = undo.enter_context(stack_of_its_own(cloud, engine, "dev"))
        (stack.folder / "__main__.py").write_text(program((REPO / "__main__.py").read_text(), node.plan.address))
        (stack.folder / "kubeconfig").write_text(node.kubeconfig())
        stack.write_config(stack_config(node, cloud))
        began = time.monotonic()
        stack.up()
        pods = Pods(node, SPACE)
        until(lambda: all(pods.ready(name) for name in PODS), "the pods", PATIENCE_SECONDS)
        seconds = time.monotonic() - began
        # The proxy learns of a pod moments after it is ready.
        until(lambda: opens(node.plan.gateway, node.plan.address), "the API's port of the node", PATIENCE_SECONDS)
        outputs = stack.outputs()
        port = node.forward(pods.service("controller"), CONTROLLER_PORT)
        key = outputs["elastic"]["clients"][CLIENT]["apiKey"]
        yield Controlled(node, cloud, stack, pods, Cluster(*reach(node.kubeconfig())), outputs, key, seconds, port)


def engine_of(folder: Path, node: Node, cloud: Cloud, path_with_engine: str) -> Engine:
    """Return an engine whose states lie in a bucket, as those of people and of a controller in a cluster do."""
    keys = {"aws_access_key_id": ADMIN.access_key, "aws_secret_access_key": ADMIN.secret_key}
    boto3.client("s3", endpoint_url=cloud.store_endpoint, region_name=REGION, **keys).create_bucket(Bucket=STATES)
    folder.mkdir()
    own = {"PULUMI_BACKEND_URL": backend(node), "PYTHONPATH": str(REPO)}
    own |= {name.upper(): value for name, value in keys.items()}
    return Engine(folder, {**environment(folder, path_with_engine), **own})


def backend(node: Node) -> str:
    """Return the URL of the states' bucket, which is the same on this machine and in a pod."""
    place = f"{node.plan.name_address(1)}:443"
    return f"s3://{STATES}/fleet?endpoint={place}&region={REGION}&s3ForcePathStyle=true&disableSSL=true"


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
        "image": controller_images.OWN.removeprefix("docker.io/library/"),
        "postgresImage": controller_images.POSTGRES,
        "clientNetworks": [f"{node.plan.gateway}/32"],  # this machine
        "memoryMb": 1024,
    }
    config["gpu-fleet:controller"] = {"backend": backend(node), "kubernetes": pod}
    return config


def opens(source: str, address: str) -> bool:
    """Say whether a connection from an address of this machine to the API's port of the node is taken."""
    try:
        with socket.create_connection((address, API_PORT_OF_NODE), timeout=5, source_address=(source, 0)):
            return True
    except OSError:
        return False
