"""A whole life of the stack's own cluster: real engine, Pulumi's logic for Hetzner, emulated servers that run cloud-init.

k3s is a stand-in with the real API server of Kubernetes and real snapshots of etcd. No pod runs there.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from hcloud import Client

from offline.kubernetes_plugin.cluster import Cluster
from providers.kubeconfig import reach
from sandbox.hetzner import k3s_binary
from sandbox.hetzner.downloads import Downloads
from sandbox.hetzner.image import Image, folder_in, of_k3s
from sandbox.hetzner.machines import MachinesError
from sandbox.hetzner.namespace_machines import NamespaceMachines
from sandbox.hetzner.testing import RunningHetzner, running_hetzner
from sandbox.hosts.images import default_cache
from sandbox.services.child import ServiceError
from sandbox.services.object_store import ADMIN, NAME_FOR_HOSTS, REGION, ObjectStore
from tests.doubles.hcloud_plugin import NEEDS_PLUGIN, cluster_stack
from tests.doubles.pulumi_stack import Engine, Stack, sandbox_config

VERSION, NEWER = "v1.34.2+k3s1", "v1.34.3+k3s1"
NAME, BUCKET = "gpu-fleet-test", "snapshots"
SECRETS = {
    "gpu-fleet:backupAccessKey": ADMIN.access_key,
    "gpu-fleet:backupSecretKey": ADMIN.secret_key,
    "gpu-fleet:metricsKey": "a metrics key of the cluster's life",
    "gpu-fleet:exporterMarketKey": "a market key of the exporter",
}

pytestmark = [
    pytest.mark.engine,
    pytest.mark.host,
    pytest.mark.monitoring,
    pytest.mark.deep,
    pytest.mark.timeout(900),
    pytest.mark.allow_hosts(["127.0.0.0/8"]),
    NEEDS_PLUGIN,
]


@dataclass(frozen=True)
class World:
    """A Hetzner whose servers reach a store and k3s' releases."""

    hetzner: RunningHetzner
    store: ObjectStore

    @property
    def client(self) -> Client:
        return Client(self.hetzner.token, api_endpoint=self.hetzner.url, poll_interval=0.05)

    def snapshots(self) -> list[str]:
        s3 = boto3.client(
            "s3",
            endpoint_url=self.store.endpoint,
            region_name=REGION,
            aws_access_key_id=ADMIN.access_key,
            aws_secret_access_key=ADMIN.secret_key,
        )
        with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(Bucket=BUCKET)
        return sorted(row["Key"] for row in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []))

    def kinds(self) -> dict[str, int]:
        return {kind: len(rows) for kind, rows in self.hetzner.project.resources.items() if rows}


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder, cache = tmp_path_factory.mktemp("hetzner"), default_cache()
    with contextlib.ExitStack() as undo:
        try:
            image = Image(folder_in(cache), of_k3s(cache))
            downloads, store = Downloads(folder / "downloads"), ObjectStore(folder / "store")
            store.start()
            undo.callback(store.stop)
            downloads.start()
            undo.callback(downloads.stop)
            inward = {**downloads.inward, f"{NAME_FOR_HOSTS}:443": ("127.0.0.1", store.https_port)}
            trusted = downloads.ca_pem + store.ca_pem
            machines = NamespaceMachines(folder / "home", folder / "cache", image, inward, trusted)
        except (MachinesError, ServiceError) as error:
            pytest.skip(str(error))
        undo.callback(machines.close)
        made = World(undo.enter_context(running_hetzner(machines)), store)
        made.snapshots()
        yield made


@pytest.fixture
def stack(world: World, engine: Engine) -> Stack:
    made = cluster_stack(engine)
    write(made, world)
    return made


def write(stack: Stack, world: World, version: str = VERSION, **given: Any) -> None:
    config = sandbox_config("http://127.0.0.1:1", 1, world.store.endpoint)
    place = {"hostEndpoint": f"https://{NAME_FOR_HOSTS}", "region": REGION, "bucket": BUCKET}
    config["gpu-fleet:store"] = {**config["gpu-fleet:store"], **place}
    config["gpu-fleet:cluster"] = {
        "location": "fsn1",
        "adminCidrs": ["127.0.0.1/32"],
        "k3s": {"version": version, "sha256": k3s_binary.sha256(version)},
        "protect": False,
        "apiUrl": world.hetzner.url,
        **given,
    }
    config["gpu-fleet:kubernetes"] = {"image": "example/monitoring:1", "wait": False}
    config |= {**SECRETS, "gpu-fleet:hcloudToken": world.hetzner.token}
    stack.write_config(config)


def cluster_of(stack: Stack) -> Cluster:
    return Cluster(*reach(stack.outputs()["kubeconfig"]))


def named(kind: str, name: str, namespace: str = "gpu-fleet") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}}


MARK = named("ConfigMap", "mark", "default")


def test_from_an_empty_account_through_upgrade_and_loss_to_nothing(stack: Stack, world: World) -> None:
    told = stack.up().text
    outputs = stack.outputs()
    address = outputs["cluster"]["address"]
    assert f"{VERSION} serves at https://{address}:6443" in told
    assert outputs["receiver"] == f"https://{address}:30443"
    state = json.dumps(stack.state())
    hidden = [
        ADMIN.secret_key,
        SECRETS["gpu-fleet:metricsKey"],
        SECRETS["gpu-fleet:exporterMarketKey"],
        world.hetzner.token,
        "PRIVATE KEY",
        "client-key-data",
    ]
    assert not [secret for secret in hidden if secret in state + told]
    cluster = cluster_of(stack)
    door = cluster.get(named("Service", "door-outside"))
    assert door
    assert door["spec"]["ports"][0]["nodePort"] == 30443
    certificate = cluster.get(named("Secret", "door-certificate"))
    assert certificate
    assert certificate["type"] == "kubernetes.io/tls"
    assert "unchanged" in stack.preview("--expect-no-changes").text
    cluster.apply({**MARK, "data": {"of": "the first server"}})

    write(stack, world, NEWER)
    upgraded = stack.up().text
    assert f"before-{NEWER.replace('+', '-')}" in upgraded
    assert [name for name in world.snapshots() if "/before-" in name]
    assert f"{NEWER} serves at" in upgraded
    assert cluster_of(stack).get(MARK)

    write(stack, world, NEWER, server="cx43")
    stack.up()
    server = world.client.servers.get_by_name(NAME)
    assert server is not None
    assert server.server_type is not None
    assert (server.status, server.server_type.name) == ("running", "cx43")

    server.delete().wait_until_finished()
    own = ("--target", "**::cluster-*")
    stack.refresh(*own)
    again = stack.up(*own).text
    assert "restore  snapshot before-" in again
    stack.up()
    restored = stack.outputs()
    assert restored["cluster"]["address"] == address
    assert restored["kubeconfig"] == outputs["kubeconfig"]
    found = cluster_of(stack).get(MARK)
    assert found
    assert found["data"] == {"of": "the first server"}
    assert "unchanged" in stack.preview("--expect-no-changes").text

    stack.destroy()
    assert world.kinds() == {}
