"""The monitoring stack on the API server, by the real engine: made, changed, drifted, gone.

By the stand-in plugin, or by Pulumi's own if offline/official_kubernetes_plugin.py built it: they differ in words alone.
"""

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from monitoring.kubernetes.marks import ANNOTATION
from offline.kubernetes_plugin.cluster import Cluster
from offline.kubernetes_plugin.kubeconfig import reach
from sandbox.services.kubernetes import Kubernetes
from tests.doubles.cloud import REPO
from tests.doubles.cluster_stack import ClusterStack, beside
from tests.doubles.pulumi_stack import Done, Engine, watching_config
from tests.doubles.until import until
from tools.machine import paths

pytestmark = [
    pytest.mark.engine,
    pytest.mark.monitoring,
    pytest.mark.xdist_group("kubernetes"),
    pytest.mark.rotating(of=4),
]

# The project's program without what needs a market and a store.
PROGRAM = """
from pathlib import Path
import pulumi
from config.reading import load, own_values
from components.observability import observe

source = pulumi.Config("gpu-fleet")
values = own_values({**pulumi.runtime.config.get_config_env(), **pulumi.runtime.config.CONFIG.get()})
project = Path(pulumi.runtime.get_root_directory())
pulumi.export("observability", observe(load(values, project), source, values, project))
"""
OFFICIAL = paths.find(REPO, os.environ).kubernetes_plugin.is_file()
SECRETS = ("sandbox-cluster-token", "sandbox-metrics-key", "sandbox-secret-key", "https://hooks.example/token")


@dataclass
class Watched(ClusterStack):
    """A stack that watches from a cluster."""

    kubernetes: Kubernetes

    def write(self, **changes: Any) -> None:
        own = self.config["gpu-fleet:kubernetes"] | changes
        self.stack.write_config(self.config | {"gpu-fleet:kubernetes": own})


@pytest.fixture
def watched(kubernetes: Kubernetes, engine: Engine) -> Watched:
    namespace = f"watch-{secrets.token_hex(4)}"  # of its own: one that goes takes seconds
    stack, cluster, config = beside(kubernetes, engine, PROGRAM)
    config |= watching_config("kubeconfig", namespace=namespace)
    made = Watched(stack, cluster, config, namespace, kubernetes)
    made.write()
    return made


@pytest.mark.rotating(of=1)
def test_made_changed_drifted_and_gone(watched: Watched) -> None:
    stack = watched.stack
    stack.config(secret={"gpu-fleet:alertWebhook": SECRETS[-1]})
    config = stack.read_config()
    watched.config = config

    shown = stack.preview("--diff").text
    assert watched.live("v1", "Namespace", watched.namespace) is None
    told = stack.up().text
    state = json.dumps(stack.state())
    assert not [secret for secret in SECRETS if secret in told + shown + state]
    assert stack.outputs()["observability"]["grafana"]["user"] == "admin"
    alerting = watched.live("v1", "Secret", "alertmanager-config")
    assert alerting
    assert "unchanged" in stack.up("--expect-no-changes").text
    assert "unchanged" in stack.refresh("--expect-no-changes").text

    watched.write(retentionDays=7)
    assert "~ 1 updated" in stack.up().text
    prometheus = watched.live("apps/v1", "Deployment", "prometheus")
    assert prometheus
    assert "--storage.tsdb.retention.time=7d" in prometheus["spec"]["template"]["spec"]["containers"][0]["args"]

    # Somebody else's hands: a service is deleted, a deployment scaled.
    watched.cluster.delete({"apiVersion": "v1", "kind": "Service", "metadata": place(watched, "grafana")})
    scaled = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": place(watched, "door"),
        "spec": {"replicas": 3},
    }
    somebody = Cluster(*reach(watched.kubernetes.kubeconfig()), manager="kubectl")
    somebody.apply(scaled, force=True)
    seen = stack.refresh("--diff").text
    assert "grafana" in seen
    assert "deleted" in seen
    assert "replicas" in seen
    stack.up()
    assert watched.live("v1", "Service", "grafana")
    door = watched.live("apps/v1", "Deployment", "door")
    assert door
    assert door["spec"]["replicas"] == 1

    stack.destroy()
    assert watched.live("v1", "Secret", "door-key") is None
    # Who does not wait for objects does not wait for their end either: Pulumi's own plugin leaves it marked as deleted.
    until(lambda: watched.live("v1", "Namespace", watched.namespace) is None, seconds=30)


def place(watched: Watched, name: str) -> dict[str, str]:
    return {"name": name, "namespace": watched.namespace}


def test_with_an_existing_prometheus_the_operator_must_be_there(watched: Watched) -> None:
    watched.write(mode="existing", prometheus="http://prometheus.other:9090")

    done = watched.stack.up(check=False)

    assert done.status
    if OFFICIAL:
        assert 'no matches for kind "PrometheusRule" in version "monitoring.coreos.com/v1"' in done.text
    else:
        assert "the cluster knows no PrometheusRule in monitoring.coreos.com/v1" in done.text
    assert watched.live("apps/v1", "Deployment", "prometheus") is None
    watched.stack.destroy()


def nothing_listens(watched: Watched) -> None:
    away = Kubernetes(Path("unused"))
    (watched.stack.folder / "kubeconfig").write_text(away.kubeconfig())


def nobody(watched: Watched) -> None:
    (watched.stack.folder / "kubeconfig").write_text(watched.kubernetes.kubeconfig("wrong"))


def no_kubeconfig(watched: Watched) -> None:
    (watched.stack.folder / "kubeconfig").unlink()


def no_such_context(watched: Watched) -> None:
    watched.write(context="production")


def no_such_class(watched: Watched) -> None:
    watched.write(storageClass="fast")


def a_wish_that_no_cluster_grants(watched: Watched) -> None:
    watched.write(receiverAnnotations={"not a key/at all/": "x"})


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (no_kubeconfig, "kubeconfig cannot be read (No such file or directory). Name the file"),
        (no_such_context, "has no context 'production' (it has: sandbox)"),
        (no_such_class, "fast"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_mistake_is_told_in_the_preview(watched: Watched, mistake: Callable[[Watched], None], said: str) -> None:
    mistake(watched)

    assert_refused(watched.stack.preview(check=False), said)


@pytest.mark.parametrize(
    ("mistake", "said", "official"),
    [
        (nothing_listens, "no answer from the cluster at https://127.0.0.1", "Kubernetes cluster is unreachable"),
        (nobody, "is not the sandbox's cluster", "asked for the client to provide credentials"),
        (a_wish_that_no_cluster_grants, "metadata.annotations: Invalid value", "metadata.annotations: Invalid value"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_only_the_cluster_knows_is_told_by_up_at_the_latest(
    watched: Watched, mistake: Callable[[Watched], None], said: str, official: str
) -> None:
    mistake(watched)

    # Pulumi's own plugin asks no cluster in the preview of a namespace that is to be made.
    done = watched.stack.up(check=False) if OFFICIAL else watched.stack.preview(check=False)

    assert_refused(done, official if OFFICIAL else said)


def assert_refused(done: Done, said: str) -> None:
    assert done.status
    assert said in done.text
    assert "Traceback" not in done.text


def forget(watched: Watched, *names: str) -> None:
    """Have state forget objects, as it does if the engine is killed right after they were made."""
    for row in watched.stack.resources():
        if row["urn"].rpartition("::")[2] in names:
            words = ("state", "delete", "--yes", "--target-dependents", "--stack", watched.stack.name)
            watched.stack.call(*words, row["urn"])


def test_what_a_killed_update_made_is_taken_over(watched: Watched) -> None:
    watched.stack.up()
    known = {row["urn"] for row in watched.stack.resources()}
    forget(watched, f"{watched.namespace}-namespace")
    assert len(watched.stack.resources()) < len(known) - 30

    watched.stack.up()

    assert {row["urn"] for row in watched.stack.resources()} == known
    assert "unchanged" in watched.stack.up("--expect-no-changes").text
    watched.stack.destroy()


def test_an_object_without_the_mark_is_not_taken_over(watched: Watched) -> None:
    watched.stack.up()
    forget(watched, "door-key-secret")
    secret = watched.live("v1", "Secret", "door-key")
    assert secret
    watched.cluster.delete({"apiVersion": "v1", "kind": "Secret", "metadata": place(watched, "door-key")})
    theirs = {"apiVersion": "v1", "kind": "Secret", "metadata": place(watched, "door-key"), "stringData": {"a": "b"}}
    Cluster(*reach(watched.kubernetes.kubeconfig()), manager="kubectl").apply(theirs)

    if not OFFICIAL:  # as above
        said = f"Secret {watched.namespace}/door-key exists and is not managed by this stack"
        assert_refused(watched.stack.up(check=False), said)
    watched.stack.up(env={"PULUMI_K8S_UPSERT_EXISTING_OBJECTS": "true"})
    taken = watched.live("v1", "Secret", "door-key")
    assert taken
    assert taken["metadata"]["annotations"][ANNOTATION]
    watched.stack.destroy()


def test_a_namespace_that_exists_is_not_taken_over_and_can_be_used(watched: Watched) -> None:
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": watched.namespace}}
    watched.cluster.apply(manifest)

    if not OFFICIAL:  # the one that can be built is older than the SDK, and takes over what is there
        said = f"Namespace {watched.namespace} exists and is not managed by this stack"
        assert_refused(watched.stack.up(check=False), said)
    watched.write(createNamespace=False)
    watched.stack.up()
    watched.stack.destroy()

    assert watched.live("v1", "Namespace", watched.namespace)
