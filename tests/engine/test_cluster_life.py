"""A whole life of the stack's own cluster: real engine, Pulumi's logic for Hetzner, emulated servers that run cloud-init.

k3s is a stand-in with the real API server of Kubernetes and real snapshots of etcd. No pod runs there.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from offline.kubernetes_plugin.cluster import Cluster
from providers.kubeconfig import reach
from sandbox.services.object_store import ADMIN
from tests.doubles.cluster_world import SECRETS, VERSION, World, world_or_skip, write_config
from tests.doubles.hcloud_plugin import NEEDS_PLUGIN, cluster_stack
from tests.doubles.pulumi_stack import Engine, Stack

NAME, NEWER = "gpu-fleet-test", "v1.34.3+k3s1"

pytestmark = [
    pytest.mark.engine,
    pytest.mark.host,
    pytest.mark.monitoring,
    pytest.mark.deep,
    pytest.mark.timeout(900),
    pytest.mark.allow_hosts(["127.0.0.0/8"]),
    NEEDS_PLUGIN,
]


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_or_skip(tmp_path_factory.mktemp("hetzner")) as made:
        yield made


@pytest.fixture
def stack(world: World, engine: Engine) -> Stack:
    made = cluster_stack(engine)
    write_config(made, world)
    return made


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

    write_config(stack, world, NEWER)
    upgraded = stack.up().text
    assert f"before-{NEWER.replace('+', '-')}" in upgraded
    assert [name for name in world.snapshots() if "/before-" in name]
    assert f"{NEWER} serves at" in upgraded
    assert cluster_of(stack).get(MARK)

    write_config(stack, world, NEWER, server="cx43")
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
