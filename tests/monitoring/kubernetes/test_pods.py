# Long because one stack on one node takes minutes to come up, and every test looks at that one.
"""The monitoring stack on a real node, declared by the real engine: its pods run as they are written, and come back.

They reach what they need and nothing else. Set-up brings the node: python3 -m tools.setup --parts node
"""

import http.server
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitoring.kubernetes import stack as documents
from monitoring.kubernetes.network_policies import WAYS
from monitoring.kubernetes.prometheus import PORTS
from monitoring.prometheus import Prometheus, PrometheusError
from offline.kubernetes_plugin.cluster import Cluster, Refused
from offline.kubernetes_plugin.kubeconfig import reach
from providers.identity.metrics_credentials import Reporter
from sandbox.node.node import Node
from sandbox.node.plan import NODE
from sandbox.services.certificate import Certificate, issue
from tests.doubles.cloud import ACCOUNT, REPO, Cloud, running_cloud
from tests.doubles.engine import pulumi_on_path
from tests.doubles.node_traces import left, look, processes
from tests.doubles.pods import Pods, takes
from tests.doubles.pulumi_stack import Engine, Stack, environment, watching_config
from tests.doubles.real_node import images
from tests.doubles.receiver import Reports, sample
from tests.doubles.until import until

__all__ = ["pulumi_on_path"]

pytestmark = [
    pytest.mark.host,
    pytest.mark.engine,
    pytest.mark.monitoring,
    pytest.mark.deep,
    pytest.mark.xdist_group("node"),
    pytest.mark.allow_hosts(["127.0.0.0/8", "10.222.0.0/16", "10.244.0.0/16", "10.96.0.0/16"]),  # of the node's network
]

# The project's program without what needs a market and a store. Grafana's pod never gets an image here.
PROGRAM = """
from pathlib import Path
import pulumi
from config.reading import load, own_values
from components.observability import observe

def unawaited(arguments):
    if arguments.type_ == "kubernetes:apps/v1:Deployment" and arguments.name == "grafana-deployment":
        arguments.props["metadata"]["annotations"]["pulumi.com/skipAwait"] = "true"
    return pulumi.ResourceTransformationResult(arguments.props, arguments.opts)

pulumi.runtime.register_stack_transformation(unawaited)
source = pulumi.Config("gpu-fleet")
values = own_values({**pulumi.runtime.config.get_config_env(), **pulumi.runtime.config.CONFIG.get()})
project = Path(pulumi.runtime.get_root_directory())
pulumi.export("observability", observe(load(values, project), source, values, project))
"""
PODS = ("prometheus", "alertmanager", "exporter", "door")  # Grafana's image cannot be had here
SPACE = "watch"
MARKET, STORE, HOOK = "market.example.net", "store.example.net", "hook.example.net"
DOOR = "metrics.example.net"
KEY, NEXT_KEY = "a-key-of-this-test", "the-next-key-of-this-test"
PATIENCE_SECONDS = 120
CERTIFICATE = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "door-certificate", "namespace": SPACE}}


@dataclass
class Watching:
    """The stack on the node, and what the world has heard from its pods."""

    node: Node
    stack: Stack
    pods: Pods
    cluster: Cluster
    prometheus: Prometheus
    ca: Path
    heard: list[dict[str, Any]]
    seconds: float  # from the call of `up` until every pod was ready

    def values(self, expression: str) -> list[float]:
        """Ask Prometheus; one value a series."""
        return [one.value for one in self.prometheus.query(expression)]

    def started(self) -> list[float]:
        """Return when the first Prometheus started, by the samples of all that ran since; nothing while none answers."""
        try:
            return self.values("min(min_over_time(process_start_time_seconds{job='prometheus'}[1h]))")
        except PrometheusError:
            return []

    def host(self, key: str = KEY) -> Reports:
        """Return a host that reports through the receiver's port of the node."""
        found = self.node.api.get(f"/api/v1/namespaces/{SPACE}/services/door-outside")
        assert found is not None
        [port] = [row["nodePort"] for row in found["spec"]["ports"]]
        return Reports(f"https://{self.node.plan.address}:{port}", self.ca, Reporter("7", "chat-0", "abc"), key)

    def told(self, key: str, value: float) -> int:
        """Report a sample as a host with a key; return the receiver's status, 0 while its port leads nowhere."""
        try:
            return self.host(key).send([sample("vast_instance_idle_seconds", value, time.time())]).status_code
        except httpx.TransportError:  # the proxy learns of a new pod moments after it is ready
            return 0

    def settle(self) -> None:
        """Return when every pod is ready."""
        for name in PODS:
            until(lambda name=name: self.pods.ready(name), f"the pod of {name}", PATIENCE_SECONDS)  # type: ignore[misc]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        running.upload()
        yield running


@pytest.fixture(scope="module")
def hook() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Whom alerts go to: (its port, what it was told)."""
    told: list[dict[str, Any]] = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, told
        server.shutdown()


@pytest.fixture(scope="module")
def node(
    cloud: Cloud, hook: tuple[int, list[dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    world = {MARKET: at(cloud.market_url), STORE: at(cloud.store_endpoint), HOOK: ("127.0.0.1", hook[0])}
    folder = tmp_path_factory.mktemp("node")
    before = look(folder)
    with Node(folder / "home", images(), world=world) as running:
        yield running
    assert left(before, look(folder)) == []
    assert processes(folder) == []


@pytest.fixture(scope="module")
def own_engine(pulumi_on_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("engine")
    made = Engine(folder, environment(folder, pulumi_on_path))
    yield made
    made.close()


@pytest.fixture(scope="module")
def watching(
    cloud: Cloud,
    hook: tuple[int, list[dict[str, Any]]],
    node: Node,
    own_engine: Engine,
    tmp_path_factory: pytest.TempPathFactory,
) -> Watching:
    ca = tmp_path_factory.mktemp("ca") / "ca.pem"
    certificate = issue(DOOR)
    ca.write_text(certificate.ca)
    cluster = Cluster(*reach(node.kubeconfig()))
    cluster.apply(documents.namespace(SPACE))
    cluster.apply(tls(certificate))
    stack = own_engine.stack(REPO)
    (stack.folder / "__main__.py").write_text(PROGRAM)
    (stack.folder / "kubeconfig").write_text(node.kubeconfig())
    stack.write_config(stack_config(cloud))
    secret = {
        "alertWebhook": f"http://{HOOK}:443/",
        "watchdogWebhook": f"http://{HOOK}:443/watchdog",
        "metricsKey": KEY,
    }
    account = dict(zip(("exporterMarketKey", "storeAccessKey", "storeSecretKey"), ACCOUNT.values(), strict=True))
    stack.config(secret={f"gpu-fleet:{name}": value for name, value in {**secret, **account}.items()})
    began = time.monotonic()
    stack.up()
    pods = Pods(node, SPACE)
    for name in PODS:
        until(lambda name=name: pods.ready(name), f"the pod of {name}", PATIENCE_SECONDS)  # type: ignore[misc]
    seconds = time.monotonic() - began
    prometheus = Prometheus(f"http://127.0.0.1:{node.forward(pods.service('prometheus'), PORTS['prometheus'])}")
    return Watching(node, stack, pods, cluster, prometheus, ca, hook[1], seconds)


def stack_config(cloud: Cloud) -> dict[str, Any]:
    """The config of a stack whose pods reach market and store under names of their world."""
    config = cloud.stack_config()
    config["gpu-fleet:store"]["bucket"] = cloud.bucket
    world = {"marketUrl": f"http://{MARKET}:443", "storeEndpoint": f"http://{STORE}:443"}
    own: dict[str, Any] = {"namespace": SPACE, "createNamespace": False, "receiverService": "NodePort", "wait": True}
    return config | watching_config("kubeconfig", **own, **world)


def tls(certificate: Certificate) -> dict[str, Any]:
    """The receiver's certificate, which cert-manager would make."""
    return {
        **CERTIFICATE,
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": certificate.chain, "tls.key": certificate.key},
    }


def at(url: str) -> tuple[str, int]:
    host, _, port = url.rpartition("//")[2].partition(":")
    return host, int(port)


@pytest.mark.parametrize("name", PODS)
def test_a_pod_runs_as_nobody_special_and_writes_to_its_disks_only(watching: Watching, name: str) -> None:
    process, pod = watching.pods.process(name), watching.pods.of(name)["spec"]
    facts = dict(re.findall(r"^(\w+):\s+(.*)$", Path(f"/proc/{process}/status").read_text(), re.MULTILINE))

    assert facts["Uid"].split() == facts["Gid"].split() == [str(pod["securityContext"]["runAsUser"])] * 4
    assert {facts[key] for key in ("CapEff", "CapPrm", "CapBnd")} == {"0" * 16}
    assert facts["NoNewPrivs"] == "1"
    assert facts["Seccomp"] == "2"  # a filter
    mounts = [line.split() for line in Path(f"/proc/{process}/mounts").read_text().splitlines()]
    written = {place for _, place, _, options, *_ in mounts if options.startswith("rw")}
    told = {each["mountPath"] for each in pod["containers"][0]["volumeMounts"] if not each.get("readOnly")}
    # Of kubelet and runtime; they are root's, and not the pod's to write to.
    not_its_own = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/sys/fs/cgroup"}
    assert {place for place in written if not place.startswith(("/dev", "/proc"))} - not_its_own == told


@pytest.mark.parametrize("name", PODS)
def test_a_pod_stays_far_from_its_limit(watching: Watching, name: str) -> None:
    facts = Path(f"/proc/{watching.pods.process(name)}/status").read_text()
    [peak] = re.findall(r"VmHWM:\s+(\d+) kB", facts)
    [container] = watching.pods.of(name)["spec"]["containers"]

    assert int(peak) * 1024 < 0.75 * bytes_of(container["resources"]["limits"]["memory"])


def bytes_of(quantity: str) -> int:
    return int(quantity[:-2]) * {"Mi": 2**20, "Gi": 2**30}[quantity[-2:]]


def test_grafana_is_scheduled_and_lacks_nothing_but_its_image(watching: Watching) -> None:
    assert watching.pods.of("grafana")["spec"]["nodeName"] == NODE
    until(lambda: waits_for(watching.pods.of("grafana")) & {"ErrImagePull", "ImagePullBackOff"} != set(), "its image")


def waits_for(pod: dict[str, Any]) -> set[str]:
    """Return why the containers of a pod do not run."""
    rows = pod["status"].get("containerStatuses", [])
    return {row["state"].get("waiting", {}).get("reason", "") for row in rows}


def test_what_is_not_restricted_is_refused(watching: Watching) -> None:
    container = {"name": "main", "image": "gpu-fleet-monitoring:local", "securityContext": {"privileged": True}}
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "privileged", "namespace": SPACE},
        "spec": {"containers": [container]},
    }

    with pytest.raises(Refused, match='violates PodSecurity "restricted'):
        watching.cluster.apply(manifest)


def test_claims_are_disks_of_the_node(watching: Watching) -> None:
    found = watching.node.api.get(f"/api/v1/namespaces/{SPACE}/persistentvolumeclaims")

    assert found is not None
    assert {row["metadata"]["name"]: row["status"]["phase"] for row in found["items"]} == {
        "prometheus-data": "Bound",
        "alertmanager-data": "Bound",
    }


def test_prometheus_reads_every_part_and_its_rules(watching: Watching) -> None:
    up = 'up{job!="grafana"}'

    until(lambda: watching.values(f"count({up} == 1)") == [len(PODS)], "every part", PATIENCE_SECONDS)
    assert watching.values("prometheus_rule_evaluation_failures_total > 0") == []
    assert watching.values("prometheus_notifications_alertmanagers_discovered") == [1]
    assert watching.values("min(prometheus_config_last_reload_successful)") == [1]


def test_the_exporter_reaches_market_store_and_prometheus(watching: Watching) -> None:
    learnt = "vast_exporter_last_success_timestamp_seconds > 0"

    until(lambda: len(watching.values(learnt)) == 4, "what the exporter learns", PATIENCE_SECONDS)


def test_a_hosts_samples_go_through_the_receivers_pod_into_prometheus(watching: Watching) -> None:
    assert watching.host().send([sample("vast_instance_idle_seconds", 5, time.time())]).status_code == 204
    assert watching.values('vast_instance_idle_seconds{instance_id="7"}') == [5]


def test_alerts_reach_whom_they_are_for(watching: Watching) -> None:
    until(lambda: bool(watching.heard), "an alert", PATIENCE_SECONDS)

    alerts = [alert["labels"]["alertname"] for told in watching.heard for alert in told["alerts"]]
    assert "Watchdog" in alerts


def test_every_way_is_open_and_no_other(watching: Watching) -> None:
    pods, ways = watching.pods, {(way.source, way.target) for way in WAYS}
    outside = watching.node.plan.name_address(0)  # the market's
    opened = {}
    for source in PODS:
        for target in PODS:
            if source != target:
                opened[source, target] = pods.reaches(source, pods.service(target), PORTS[target])
        opened[source, "anywhere"] = pods.reaches(source, outside, 443)

    assert opened == {way: way in ways for way in opened}


def test_another_namespace_reaches_nothing_but_the_receiver(watching: Watching) -> None:
    """The machine's own address stands for the world: it is none of the node's, and so no way of the kubelet."""
    machine = os.getpid()
    reached = {
        target: takes(machine, watching.pods.of(target)["status"]["podIP"], port)
        for target, port in {**{name: PORTS[name] for name in PODS}, "door": PORTS["door"]}.items()
    }

    assert reached == dict.fromkeys(reached, False)
    assert takes(machine, watching.pods.of("door")["status"]["podIP"], 9443)


def test_a_pod_is_changed_after_what_it_reads(watching: Watching) -> None:
    rows = {row["urn"].rpartition("::")[2]: row for row in watching.stack.resources()}
    after = {urn.rpartition("::")[2] for urn in rows["door-deployment"]["dependencies"]}

    assert {"door-key-secret", "prometheus-config-configmap"} <= after


def test_a_rotated_key_restarts_its_pod(watching: Watching) -> None:
    before = watching.pods.of("door")["metadata"]["uid"]

    watching.stack.config(secret={"gpu-fleet:metricsKey": NEXT_KEY})
    watching.stack.up()
    watching.settle()

    assert watching.pods.of("door")["metadata"]["uid"] != before
    until(lambda: watching.told(KEY, 6) != 0, "the port of the new pod", 30)
    assert watching.told(KEY, 6) == 401
    assert watching.told(NEXT_KEY, 6) == 204


def test_a_pod_that_is_killed_comes_back_with_its_data(watching: Watching) -> None:
    before = watching.pods.of("prometheus")
    kept = watching.started()
    assert kept

    place = {"name": before["metadata"]["name"], "namespace": SPACE}
    watching.cluster.delete({"apiVersion": "v1", "kind": "Pod", "metadata": place})
    watching.settle()

    assert watching.pods.of("prometheus")["metadata"]["uid"] != before["metadata"]["uid"]
    until(lambda: watching.started() == kept, "the data of the pod that was killed", 30)


def test_everything_comes_back_after_the_node_restarts(watching: Watching) -> None:
    kept = watching.started()
    assert kept
    before = {name: watching.pods.process(name) for name in PODS}

    watching.node.restart()
    for name in PODS:
        until(lambda name=name: restarted(watching, name, before[name]), name, PATIENCE_SECONDS)  # type: ignore[misc]
    watching.settle()

    until(lambda: watching.started() == kept, "the data of before", 30)
    until(lambda: watching.told(NEXT_KEY, 7) == 204, "the receiver behind its port", 30)


def restarted(watching: Watching, name: str, before: int) -> bool:
    """Say whether a pod has another process than before, and is ready."""
    try:
        return watching.pods.process(name) != before and watching.pods.ready(name)
    except ValueError:
        return False


def test_destroy_leaves_nothing(watching: Watching) -> None:
    watching.stack.destroy()

    for kind in ("pods", "services", "configmaps", "persistentvolumeclaims", "secrets"):
        until(lambda kind=kind: held(watching, kind) == [], kind, PATIENCE_SECONDS)  # type: ignore[misc]


def held(watching: Watching, kind: str) -> list[str]:
    """Return what the namespace holds besides what the cluster and this test made."""
    found = watching.node.api.get(f"{watching.pods.path}/{kind}") or {"items": []}
    names = [row["metadata"]["name"] for row in found["items"]]
    return [name for name in names if name not in ("kube-root-ca.crt", "door-certificate")]
