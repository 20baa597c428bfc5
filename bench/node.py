"""Measure the real node: seconds until it is Ready and until pods are, and what is left of it at its end."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench._figures import figure, percentile
from monitoring import prometheus_config
from monitoring.kubernetes import settings as keys
from monitoring.kubernetes import stack
from monitoring.kubernetes.prometheus import text
from monitoring.kubernetes.settings import Settings
from offline.kubernetes_plugin.cluster import Cluster
from offline.kubernetes_plugin.kubeconfig import reach
from sandbox.node.node import Node
from sandbox.services.certificate import issue
from tests.doubles.node_traces import left, look, processes
from tests.doubles.pods import Pods
from tests.doubles.real_node import REPO, images
from tests.doubles.until import until

ROUNDS, PATIENCE_SECONDS = 3, 180.0
SPACE = "watch"
# The exporter reads a market before it serves; the rest of its way is measured by tests/monitoring/kubernetes/test_pods.py.
PODS = ("prometheus", "alertmanager", "door")


def main() -> None:
    """Print the figures. What lacks of the node is built first, which takes half an hour."""
    if shutil.which("kubelet") is None or not images():
        subprocess.run([sys.executable, "-m", "tools.setup", "--parts", "node"], cwd=REPO, check=True)
    ready, pods, ends, traces = [], [], [], 0
    for _round in range(ROUNDS):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            before = look(folder)
            node = Node(folder / "home", images())
            try:
                node.start()
                ready.append(node.ready_seconds)
                pods.append(until_ready(node))
            finally:
                began = time.monotonic()
                node.stop()
                ends.append(time.monotonic() - began)
            traces += len(left(before, look(folder))) + len(processes(folder)) + len(list(folder.iterdir()))
    load = os.getloadavg()[0]
    print(f"load {load:.1f} at the end; ready {ready}, pods {pods}, ends {ends}", file=sys.stderr)
    figure(f"node, from nothing to Ready, median of {ROUNDS}", percentile(ready, 0.5), "s", 10)
    figure(
        f"node, pods of Prometheus, Alertmanager and receiver ready, median of {ROUNDS}", percentile(pods, 0.5), "s", 60
    )
    figure(f"node, to its end, median of {ROUNDS}", percentile(ends, 0.5), "s", 30)
    figure("node, traces left at its end", traces, "", 0)


def until_ready(node: Node) -> float:
    """Apply the stack's manifests and its Secrets; return the seconds until the pods are ready."""
    cluster, seen = Cluster(*reach(node.kubeconfig())), Pods(node, SPACE)
    began = time.monotonic()
    settings = Settings(
        namespace=SPACE, image="gpu-fleet-monitoring:local", stack_file="config: {}\n", runbooks="runbooks.md"
    )
    for manifest in (stack.namespace(SPACE), *secrets(), *stack.plain(settings)):
        cluster.apply(manifest)
    until(lambda: all(seen.ready(name) for name in PODS), "the pods", PATIENCE_SECONDS)
    return time.monotonic() - began


def secrets() -> list[dict[str, Any]]:
    """Return the Secrets that the pods read."""
    certificate = issue("metrics.example.net")
    told = prometheus_config.alertmanager("http://127.0.0.1:1/", "")
    values: Mapping[str, Mapping[str, str]] = {
        keys.RECEIVER_SECRET: {keys.RECEIVER_KEY: "a-key-of-this-bench"},
        keys.ALERTMANAGER_SECRET: {keys.ALERTMANAGER_FILE: text(told)},
        "door-certificate": {"tls.crt": certificate.chain, "tls.key": certificate.key},
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": SPACE},
            "stringData": dict(content),
        }
        for name, content in values.items()
    ]


if __name__ == "__main__":
    main()
