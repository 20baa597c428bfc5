"""The pods of the manifests, really run: they start as they are written, reach what they need, and nothing else."""

import http.server
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.cluster import stack_file
from config.reading import load, own_values
from monitoring import prometheus_config
from monitoring.kubernetes import settings as keys
from monitoring.kubernetes import stack
from monitoring.kubernetes.network_policies import WAYS
from monitoring.kubernetes.prometheus import PORTS
from monitoring.kubernetes.services import RECEIVER_PORT
from monitoring.kubernetes.settings import Settings
from monitoring.prometheus import Prometheus
from providers.identity.metrics_credentials import Reporter
from sandbox.services.certificate import issue
from sandbox.services.programs import find
from tests.doubles.cloud import ACCOUNT, Cloud, running_cloud
from tests.doubles.emulated import until
from tests.doubles.node.container import Image, python_image
from tests.doubles.node.node import Node
from tests.doubles.receiver import Reports, sample

pytestmark = [pytest.mark.host, pytest.mark.monitoring, pytest.mark.xdist_group("pods")]

REPO = Path(__file__).resolve().parents[3]
METRICS_KEY = "a-key-of-this-test"
PODS = ("prometheus", "alertmanager", "exporter", "door")  # Grafana's program cannot be had here: it has a network only
MARKET, STORE, HOOK = "market.example.net", "store.example.net", "hook.example.net"
DOOR = "metrics.example.net"
PATIENCE_SECONDS = 90


@dataclass
class Watching:
    """The running pods, and what the world has heard from them."""

    node: Node
    prometheus: Prometheus
    ca: Path
    heard: list[dict[str, Any]]

    def values(self, expression: str) -> list[float]:
        """Ask Prometheus; one value a series."""
        return [one.value for one in self.prometheus.query(expression)]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        running.upload()
        yield running


@pytest.fixture(scope="module")
def heard() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Whoever is to be told of alerts: (its port, what it was told)."""
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
def watching(
    cloud: Cloud, heard: tuple[int, list[dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watching]:
    folder = tmp_path_factory.mktemp("node")
    folder.chmod(0o755)
    certificate = issue(DOOR)
    (folder / "ca.pem").write_text(certificate.ca)
    told = prometheus_config.alertmanager(f"http://{HOOK}:443/", f"http://{HOOK}:443/watchdog")
    secrets = {
        keys.RECEIVER_SECRET: {keys.RECEIVER_KEY: METRICS_KEY},
        keys.EXPORTER_SECRET: dict(zip(keys.EXPORTER_KEYS, ACCOUNT.values(), strict=True)),
        keys.GRAFANA_SECRET: {keys.GRAFANA_PASSWORD: "unused"},
        keys.ALERTMANAGER_SECRET: {keys.ALERTMANAGER_FILE: yaml.safe_dump(told)},
        "door-certificate": {"tls.crt": certificate.chain, "tls.key": certificate.key},
    }
    settings = Settings(
        namespace="watch",
        image="example/monitoring:1",
        stack_file=stack_of(cloud),
        runbooks="https://example.net/runbooks.md",
    )
    world = {MARKET: at(cloud.market_url), STORE: at(cloud.store_endpoint), HOOK: ("127.0.0.1", heard[0])}
    with Node(folder, stack.plain(settings), secrets, images(), world) as node:
        for pod in PODS:
            node.wait(pod)
        prometheus = Prometheus(f"http://127.0.0.1:{node.forward('prometheus', PORTS['prometheus'])}")
        yield Watching(node, prometheus, folder / "ca.pem", heard[1])


def stack_of(cloud: Cloud) -> str:
    """The config file of a stack whose market and store are where the pods' world has them."""
    given = cloud.stack_config()
    given["gpu-fleet:market"]["url"] = f"http://{MARKET}:443"
    given["gpu-fleet:store"] |= {"endpoint": f"http://{STORE}:443", "bucket": cloud.bucket}
    plain = own_values(given)
    return stack_file(load({key: plain[key] for key in ("market", "store", "models", "fleets", "limits")}, None))


def at(url: str) -> tuple[str, int]:
    host, _, port = url.rpartition("//")[2].partition(":")
    return host, int(port)


def images() -> dict[str, Image]:
    """The images as builds of this machine; the project's own as its Containerfile says."""
    containerfile = (REPO / "Containerfile").read_text()
    [folder] = re.findall(r"^WORKDIR (\S+)", containerfile, re.MULTILINE)
    rooms = re.findall(r"^COPY (\w+) ", containerfile, re.MULTILINE)
    found = {"example/monitoring": python_image(rooms, REPO, folder)}
    for name in ("prometheus", "alertmanager"):
        found[f"prom/{name}"] = Image({f"/opt/bin/{name}": Path(find(name))}, [f"/opt/bin/{name}"])
    return found


@pytest.mark.parametrize("name", PODS)
def test_a_pod_runs_as_nobody_special_and_writes_to_its_disks_only(watching: Watching, name: str) -> None:
    container = watching.node.containers[name]
    facts = dict(re.findall(r"^(\w+):\s+(.*)$", Path(f"/proc/{container.process}/status").read_text(), re.MULTILINE))
    user = container.pod["securityContext"]["runAsUser"]

    assert facts["Uid"].split() == facts["Gid"].split() == [str(user)] * 4
    assert {facts[key] for key in ("CapEff", "CapPrm", "CapBnd")} == {"0" * 16}
    assert facts["NoNewPrivs"] == "1"
    mounts = [line.split() for line in Path(f"/proc/{container.process}/mounts").read_text().splitlines()]
    written = {place for _, place, _, options, *_ in mounts if options.startswith("rw")}
    told = {each["mountPath"] for each in container.pod["containers"][0]["volumeMounts"] if not each["readOnly"]}
    assert {place for place in written if not place.startswith(("/dev", "/proc"))} == told


@pytest.mark.parametrize("name", PODS)
def test_a_pod_stays_far_from_its_limit(watching: Watching, name: str) -> None:
    container = watching.node.containers[name]
    facts = Path(f"/proc/{container.process}/status").read_text()
    [peak] = re.findall(r"VmHWM:\s+(\d+) kB", facts)
    limit = container.pod["containers"][0]["resources"]["limits"]["memory"]

    assert int(peak) * 1024 < 0.75 * bytes_of(limit)


def bytes_of(quantity: str) -> int:
    return int(quantity[:-2]) * {"Mi": 2**20, "Gi": 2**30}[quantity[-2:]]


def test_prometheus_reads_every_part_and_its_rules(watching: Watching) -> None:
    up = 'up{job!="grafana"}'

    until(lambda: watching.values(f"count({up} == 1)") == [len(PODS)], PATIENCE_SECONDS)
    assert watching.values("prometheus_rule_evaluation_failures_total > 0") == []
    assert watching.values("prometheus_notifications_alertmanagers_discovered") == [1]
    assert watching.values("min(prometheus_config_last_reload_successful)") == [1]


def test_the_exporter_reaches_market_store_and_prometheus(watching: Watching) -> None:
    learnt = "vast_exporter_last_success_timestamp_seconds > 0"

    until(lambda: len(watching.values(learnt)) == 4, PATIENCE_SECONDS)


def test_a_host_reports_through_the_door_of_the_world(watching: Watching) -> None:
    port = watching.node.network.from_world("door", RECEIVER_PORT)
    host = Reports(f"https://127.0.0.1:{port}", watching.ca, Reporter("7", "chat-0", "abc"), METRICS_KEY)

    assert host.send([sample("vast_instance_idle_seconds", 5, time.time())]).status_code == 204
    assert watching.values('vast_instance_idle_seconds{instance_id="7"}') == [5]


def test_alerts_reach_whoever_is_to_be_told(watching: Watching) -> None:
    until(lambda: watching.heard, PATIENCE_SECONDS)

    alerts = [alert["labels"]["alertname"] for told in watching.heard for alert in told["alerts"]]
    assert "Watchdog" in alerts


@pytest.mark.allow_hosts(["127.0.0.0/8", "10.244.0.0/24"])  # of namespaces of the node's own
def test_every_way_is_open_and_no_other(watching: Watching) -> None:
    node = watching.node
    ways = {(way.source, way.target) for way in WAYS}
    metrics = {name: PORTS[name] for name in PODS}  # where a plain HTTP request is answered

    for source in node.network.pods:
        for target, port in metrics.items():
            if source != target:
                assert node.reaches(source, target, port) == ((source, target) in ways), (source, target)
        assert node.reaches(source, MARKET, 443) == ((source, "anywhere") in ways), source
