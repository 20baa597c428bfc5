"""`up` with wait: true waits for pods, by the stand-in plugin: it fails with the reason, and the next `up` waits again.

No node is here. The test writes what its controllers would write of a Deployment.
"""

import os
import secrets

import pytest

from offline.kubernetes_plugin.kubeconfig import reach
from sandbox.services.kubernetes import Kubernetes
from tests.doubles.cloud import REPO
from tests.doubles.cluster_stack import ClusterStack, beside
from tests.doubles.pulumi_stack import Engine
from tests.doubles.until import until
from tools.machine import paths

OFFICIAL = paths.find(REPO, os.environ).kubernetes_plugin.is_file()
pytestmark = [
    pytest.mark.engine,
    pytest.mark.monitoring,
    pytest.mark.xdist_group("kubernetes"),
    pytest.mark.rotating(of=2),
    pytest.mark.skipif(OFFICIAL, reason="Pulumi's own plugin is there and takes the stand-in's place"),
]
PROGRAM = """
import pulumi
import pulumi_kubernetes as k8s

config = pulumi.Config("own")
space = config.require("namespace")
provider = k8s.Provider("cluster", kubeconfig=open("kubeconfig").read(), namespace=space)
options = pulumi.ResourceOptions(provider=provider)
first = k8s.core.v1.Namespace("space", metadata={"name": space}, opts=options)
labels = {"app": "door"}
container = {"name": "door", "image": "example/door:1"}
k8s.apps.v1.Deployment(
    "door",
    metadata={"name": "door", "namespace": space, "annotations": {"pulumi.com/timeoutSeconds": config.require("seconds")}},
    spec={
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    },
    opts=pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=[first])),
)
"""
READY = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}


@pytest.fixture
def waits(kubernetes: Kubernetes, engine: Engine) -> ClusterStack:
    namespace = f"waits-{secrets.token_hex(4)}"
    stack, cluster, _config = beside(kubernetes, engine, PROGRAM)
    return ClusterStack(stack, cluster, {"own:namespace": namespace}, namespace)


def ready(waits: ClusterStack, kubernetes: Kubernetes) -> None:
    """Write the status of a Deployment as its controller does of one whose pod is ready, whatever its generation."""
    client, _ = reach(kubernetes.kubeconfig())
    live = waits.live("apps/v1", "Deployment", "door")
    assert live
    status = {**READY, "observedGeneration": live["metadata"]["generation"]}
    path = f"/apis/apps/v1/namespaces/{waits.namespace}/deployments/door/status"
    headers = {"Content-Type": "application/merge-patch+json"}
    client.patch(path, json={"status": status}, headers=headers).raise_for_status()


def test_an_update_fails_while_no_pod_is_ready_and_ends_when_one_is(
    waits: ClusterStack, kubernetes: Kubernetes
) -> None:
    stack = waits.stack
    stack.write_config({**waits.config, "own:seconds": "1"})

    done = stack.up(check=False)

    assert done.status
    assert f"Deployment {waits.namespace}/door was written and does not run (it took longer than 1 s)" in done.text
    assert "no controller has seen it yet; it has no pod" in done.text
    kept = {row["urn"].rpartition("::")[2]: row for row in stack.resources()}
    assert kept["door"]["initErrors"]
    assert waits.live("apps/v1", "Deployment", "door")

    stack.write_config({**waits.config, "own:seconds": "1"})
    again = stack.up(check=False)
    assert "does not run" in again.text  # an object that did not run is waited for again, though nothing of it changed

    stack.write_config({**waits.config, "own:seconds": "120"})
    child = stack.start("up", "--stack", stack.name, "--yes", "--skip-preview")

    def over() -> bool:
        ready(waits, kubernetes)
        return child.poll() is not None

    until(over, "the end of the update", 60)
    assert child.returncode == 0, child.communicate()
    assert "initErrors" not in {row["urn"].rpartition("::")[2]: row for row in stack.resources()}["door"]
    assert "unchanged" in stack.up("--expect-no-changes").text
    stack.destroy()
