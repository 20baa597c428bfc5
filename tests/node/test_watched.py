"""`make up KUBERNETES=node`: the sandbox's monitoring is the stack's own pods, behind the same ports."""

import contextlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.kubernetes_settings import stack_file
from config.reading import load, own_values
from monitoring import prometheus_config
from monitoring.kubernetes import settings as keys
from monitoring.kubernetes import stack
from monitoring.kubernetes.settings import Settings as ManifestSettings
from monitoring.prometheus import Prometheus, PrometheusError
from offline.kubernetes_plugin.cluster import Cluster
from offline.kubernetes_plugin.kubeconfig import reach
from sandbox.daemon import Sandbox
from sandbox.node.watching import NAMESPACE
from sandbox.services.ports import choose
from sandbox.settings import Settings, folders
from tests.doubles.cloud import ACCOUNT
from tests.doubles.node_traces import left, look, processes
from tests.doubles.real_node import REPO, images
from tests.doubles.until import until

pytestmark = [
    pytest.mark.host,
    pytest.mark.deep,
    pytest.mark.xdist_group("node"),
    pytest.mark.allow_hosts(["127.0.0.0/8", "10.222.0.0/16", "10.244.0.0/16", "10.96.0.0/16"]),
]
PATIENCE_SECONDS = 150


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox with a node; it leaves nothing on the machine."""
    before = look(tmp_path)
    market, store, controller = choose(3)
    folder = images()[0].parent
    settings = Settings(
        state=tmp_path / "state",
        cache=folders({"HOME": str(Path.home())})[1],
        vllm="double",
        market_port=market,
        store_port=store,
        controller_port=controller,
        monitoring=True,
        node_images=folder,
    )
    running = Sandbox(settings)
    running.start()
    try:
        yield running
    finally:
        running.stop()
    assert left(before, look(tmp_path)) == []
    assert processes(tmp_path) == []


def manifests() -> list[dict[str, Any]]:
    """The objects of the committed stack, which say for themselves where pods find market and store."""
    values = own_values(yaml.safe_load((REPO / "Pulumi.local.yaml").read_text())["config"])
    config = load(values, REPO)
    assert config.kubernetes is not None
    file = stack_file(config)
    made = {**config.kubernetes.model_dump(), "stack_file": file, "runbooks": "runbooks.md"}
    return [stack.namespace(NAMESPACE), *secrets(), *stack.plain(ManifestSettings.model_validate(made))]


def secrets() -> list[dict[str, Any]]:
    told = yaml.safe_dump(prometheus_config.alertmanager("", ""))
    values = {
        keys.RECEIVER_SECRET: {keys.RECEIVER_KEY: "sandbox-metrics-key"},
        keys.EXPORTER_SECRET: dict(zip(keys.EXPORTER_KEYS, ACCOUNT.values(), strict=True)),
        keys.ALERTMANAGER_SECRET: {keys.ALERTMANAGER_FILE: told},
    }
    head = {"apiVersion": "v1", "kind": "Secret"}
    return [
        {**head, "metadata": {"name": name, "namespace": NAMESPACE}, "stringData": content}
        for name, content in values.items()
    ]


def test_the_stacks_pods_are_the_monitoring_behind_the_usual_ports(sandbox: Sandbox) -> None:
    found = sandbox.status()
    assert found["node"] is True
    assert set(found["monitoring"]) == {"prometheus", "alertmanager", "exporter", "door", "kubernetes"}
    text = (REPO / "sandbox" / "kubeconfig.yaml").read_text()
    cluster = Cluster(*reach(text.replace("https://127.0.0.1:18808", found["monitoring"]["kubernetes"])))
    prometheus = Prometheus(found["monitoring"]["prometheus"])

    for manifest in manifests():
        cluster.apply(manifest)

    seen = {"prometheus", "alertmanager", "exporter", "door"}
    until(lambda: parts(prometheus) == seen, "pods", PATIENCE_SECONDS)
    with answering(sandbox.settings.controller_port):
        until(lambda: parts(prometheus) == {*seen, "controller"}, "the controller's metrics", PATIENCE_SECONDS)


@contextlib.contextmanager
def answering(port: int) -> Iterator[None]:
    """Answer at the port of the sandbox's controller as its /metrics does."""

    class Metrics(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(b"vast_controller_leads 1\n")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Metrics) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


def parts(prometheus: Prometheus) -> set[str]:
    """Return what Prometheus' pod reads; nothing while it does not answer."""
    try:
        return {one.labels["job"] for one in prometheus.query("up == 1")}
    except PrometheusError:
        return set()
