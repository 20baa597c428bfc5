"""What the manifests are made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# Names of the Secrets that the program makes beside the manifests, and their keys.
DOOR_SECRET, DOOR_KEY = "door-key", "METRICS_KEY"
EXPORTER_SECRET, EXPORTER_KEYS = "exporter-keys", ("GPU_FLEET_MARKET_KEY", "STORE_ACCESS_KEY", "STORE_SECRET_KEY")
GRAFANA_SECRET, GRAFANA_PASSWORD = "grafana-admin", "password"
ALERTMANAGER_SECRET, ALERTMANAGER_FILE = "alertmanager-config", "alertmanager.yml"


@dataclass(frozen=True)
class Settings:
    """One cluster's monitoring. `stack_file`: the stack's config without secrets, as the exporter reads it.

    `prometheus_url` and `rule_labels` are for a Prometheus that is there already.
    """

    namespace: str
    image: str
    stack_file: str
    runbooks: str
    digests: Mapping[str, str] = field(default_factory=dict)
    door_certificate: str = "door-certificate"
    door_service: str = "LoadBalancer"
    door_annotations: Mapping[str, str] = field(default_factory=dict)
    storage_class: str = ""
    storage_gb: int = 20
    retention_days: int = 30
    prometheus_url: str = ""
    rule_labels: Mapping[str, str] = field(default_factory=dict)
