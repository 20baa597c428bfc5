"""A stack of the real engine beside an API server of Kubernetes, which the test asks what is there."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from offline.kubernetes_plugin.cluster import Cluster
from offline.kubernetes_plugin.kubeconfig import reach
from sandbox.services.kubernetes import Kubernetes
from tests.doubles.cloud import REPO
from tests.doubles.pulumi_stack import Engine, Stack, sandbox_config


@pytest.fixture(scope="module")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    """Run an API server for the tests of a file."""
    with Kubernetes(tmp_path_factory.mktemp("cluster") / "kubernetes") as running:
        yield running


@dataclass
class ClusterStack:
    """A stack whose objects are in a cluster; `cluster` asks the API server beside the engine."""

    stack: Stack
    cluster: Cluster
    config: dict[str, Any]
    namespace: str

    def live(self, version: str, kind: str, name: str) -> dict[str, Any] | None:
        """Return an object as the API server has it now."""
        metadata = {"name": name, "namespace": self.namespace}
        return self.cluster.get({"apiVersion": version, "kind": kind, "metadata": metadata})


def beside(kubernetes: Kubernetes, engine: Engine, program: str) -> tuple[Stack, Cluster, dict[str, Any]]:
    """Make a stack of this program, which needs no market and no store; return it with the cluster and its config."""
    stack = engine.stack(REPO)
    (stack.folder / "__main__.py").write_text(program)
    (stack.folder / "kubeconfig").write_text(kubernetes.kubeconfig())
    config = sandbox_config("http://127.0.0.1:1", 1, "http://127.0.0.1:2")
    return stack, Cluster(*reach(kubernetes.kubeconfig())), config
