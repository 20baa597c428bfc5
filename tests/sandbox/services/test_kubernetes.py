"""The sandbox's cluster: real API server, real admission, nothing left when it ends."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitoring.kubernetes import stack
from monitoring.kubernetes.settings import Settings
from offline.kubernetes_plugin.cluster import Cluster, Refused
from offline.kubernetes_plugin.kubeconfig import reach
from sandbox.services.kubernetes import Kubernetes
from tests.sandbox.services.test_monitoring import programs_of

pytestmark = [pytest.mark.monitoring, pytest.mark.xdist_group("kubernetes")]
SETTINGS = Settings(namespace="watch", image="example/monitoring:1", stack_file="config: {}\n", runbooks="runbooks.md")


@pytest.fixture(scope="module")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    home = tmp_path_factory.mktemp("cluster") / "kubernetes"
    with Kubernetes(home) as running:
        yield running
    assert programs_of(home) == []
    assert not home.exists()


@pytest.fixture(scope="module")
def cluster(kubernetes: Kubernetes) -> Cluster:
    return Cluster(*reach(kubernetes.kubeconfig()))


@pytest.fixture(scope="module")
def watch(cluster: Cluster) -> Cluster:
    """A namespace that refuses what is not restricted."""
    cluster.apply(stack.namespace("watch"))
    return cluster


def pod(manifest: dict[str, Any], **changes: Any) -> dict[str, Any]:
    template = manifest["spec"]["template"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "tried", "namespace": "watch"},
        "spec": {**template["spec"], **changes},
    }


def until_accepted(cluster: Cluster, manifest: dict[str, Any]) -> None:
    """Try it until the namespace's own account is there, which the controllers make."""
    deadline = time.monotonic() + 30
    while True:
        try:
            cluster.apply(manifest, dry=True)
        except Refused as error:
            if "serviceaccount" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@pytest.mark.parametrize("make", [stack.plain, stack.existing])
def test_every_manifest_is_accepted_as_it_is(watch: Cluster, make: Any) -> None:
    for manifest in make(SETTINGS):
        if manifest["kind"] != "PrometheusRule":  # the operator's, who is not here
            assert watch.apply(manifest, dry=True)["metadata"]["name"] == manifest["metadata"]["name"]


def test_every_pod_is_admitted_under_restricted_and_one_that_wants_more_is_not(watch: Cluster) -> None:
    deployments = [each for each in stack.plain(SETTINGS) if each["kind"] == "Deployment"]
    assert len(deployments) == 5
    for deployment in deployments:
        until_accepted(watch, pod(deployment))
    with pytest.raises(Refused, match=r'violates PodSecurity "restricted:latest".*runAsNonRoot'):
        watch.apply(pod(deployments[0], securityContext={"runAsUser": 0, "runAsNonRoot": False}), dry=True)


def test_who_is_nobody_is_told_so(kubernetes: Kubernetes) -> None:
    stranger = Cluster(*reach(kubernetes.kubeconfig("wrong")))
    with pytest.raises(Refused, match="does not know the user of the kubeconfig"):
        stranger.apply(stack.namespace("watch"), dry=True)


def test_who_may_not_is_told_what(kubernetes: Kubernetes, cluster: Cluster) -> None:
    cluster.apply(stack.namespace("limited"))
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ci", "namespace": "limited"}}
    cluster.apply(account)
    asked = httpx.post(
        f"{kubernetes.url}/api/v1/namespaces/limited/serviceaccounts/ci/token",
        json={"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
        headers={"Authorization": "Bearer sandbox-cluster-token"},
        verify=False,
    ).json()
    limited = Cluster(*reach(kubernetes.kubeconfig(asked["status"]["token"])))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "limited"}}
    with pytest.raises(Refused, match=r'cannot patch resource "secrets".*in the namespace "limited"'):
        limited.apply(secret)


def test_a_cluster_that_is_not_there_is_named() -> None:
    away = Kubernetes(Path("unused"))
    with pytest.raises(Refused, match=rf"no answer from the cluster at {away.url}"):
        Cluster(*reach(away.kubeconfig())).apply(stack.namespace("watch"))
