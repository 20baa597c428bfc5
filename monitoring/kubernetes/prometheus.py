"""Prometheus with the project's rules, and Alertmanager."""

import yaml

from monitoring import alerts, prometheus_config, rules
from monitoring.kubernetes.images import reference
from monitoring.kubernetes.objects import Manifest, Workload, claim, config_map, deployment, service
from monitoring.kubernetes.settings import ALERTMANAGER_SECRET, CONTROLLER, CONTROLLER_PORT, Settings

# Each component serves its metrics on its port.
PORTS = {
    "prometheus": 9090,
    "alertmanager": 9093,
    "exporter": 9101,
    "door": 9102,
    "grafana": 3000,
}
NOBODY = 65534  # both images' user
FULL = 0.85  # share of the disk that Prometheus may fill before it drops old samples; its log of writes comes on top


def prometheus(settings: Settings) -> list[Manifest]:
    """Return Prometheus: its files, its disk, its pod and its service."""
    targets = {name: f"{name}:{port}" for name, port in PORTS.items()}
    if settings.controller_namespace:
        targets[CONTROLLER] = f"{CONTROLLER}.{settings.controller_namespace}:{CONTROLLER_PORT}"
    elif settings.controller_address:
        targets[CONTROLLER] = settings.controller_address
    documents = {
        "prometheus.yml": prometheus_config.prometheus(targets, targets["alertmanager"], ["records.yml", "alerts.yml"]),
        **rule_files(settings),
    }
    files = config_map(
        "prometheus-config", settings.namespace, "prometheus", {name: text(each) for name, each in documents.items()}
    )
    workload = Workload(
        name="prometheus",
        image=reference("prometheus", settings.digests, settings.image),
        user=NOBODY,
        ports={"http": PORTS["prometheus"]},
        probe=("http", "/-/ready"),
        memory="1Gi",
        cpu="200m",
        arguments=[
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path=/prometheus",
            f"--storage.tsdb.retention.time={settings.retention_days}d",
            f"--storage.tsdb.retention.size={int(settings.storage_gb * 1024 * FULL)}MB",
            "--web.enable-remote-write-receiver",
        ],
        mounts={
            "/etc/prometheus": {"configMap": {"name": "prometheus-config"}},
            "/prometheus": {"persistentVolumeClaim": {"claimName": "prometheus-data"}},
        },
        files=[files],
    )
    return [
        files,
        claim("prometheus-data", settings.namespace, "prometheus", settings.storage_gb, settings.storage_class),
        deployment(workload, settings.namespace),
        service("prometheus", settings.namespace, {"http": (PORTS["prometheus"], "http")}),
    ]


def alertmanager(settings: Settings) -> list[Manifest]:
    """Return Alertmanager. Its config is a Secret, because webhook URLs hold keys."""
    workload = Workload(
        name="alertmanager",
        image=reference("alertmanager", settings.digests, settings.image),
        user=NOBODY,
        ports={"http": PORTS["alertmanager"]},
        probe=("http", "/-/ready"),
        memory="128Mi",
        cpu="20m",
        arguments=[
            "--config.file=/etc/alertmanager/alertmanager.yml",
            "--storage.path=/alertmanager",
            "--cluster.listen-address=",
        ],
        mounts={
            "/etc/alertmanager": {"secret": {"secretName": ALERTMANAGER_SECRET}},
            "/alertmanager": {"persistentVolumeClaim": {"claimName": "alertmanager-data"}},
        },
    )
    return [
        claim("alertmanager-data", settings.namespace, "alertmanager", 1, settings.storage_class),  # silences
        deployment(workload, settings.namespace),
        service("alertmanager", settings.namespace, {"http": (PORTS["alertmanager"], "http")}),
    ]


def rule_files(settings: Settings) -> dict[str, Manifest]:
    """Return the rules by file name."""
    return {"records.yml": rules.document(), "alerts.yml": alerts.document(settings.runbooks)}


def rule_object(settings: Settings) -> Manifest:
    """Return the rules as an object of the Prometheus operator, for an existing Prometheus."""
    groups = [group for document in rule_files(settings).values() for group in document["groups"]]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "gpu-fleet", "namespace": settings.namespace, "labels": dict(settings.rule_labels)},
        "spec": {"groups": groups},
    }


def text(document: Manifest) -> str:
    """Return a document as YAML."""
    return yaml.safe_dump(document, sort_keys=False, width=1000)
