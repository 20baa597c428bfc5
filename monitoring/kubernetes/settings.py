"""The settings from which the manifests are made."""

from config.kubernetes import KubernetesConfig

# Names of the Secrets that the program makes beside the manifests, and their keys.
DOOR_SECRET, DOOR_KEY = "door-key", "METRICS_KEY"
EXPORTER_SECRET, EXPORTER_KEYS = "exporter-keys", ("GPU_FLEET_MARKET_KEY", "STORE_ACCESS_KEY", "STORE_SECRET_KEY")
GRAFANA_SECRET, GRAFANA_PASSWORD = "grafana-admin", "password"
ALERTMANAGER_SECRET, ALERTMANAGER_FILE = "alertmanager-config", "alertmanager.yml"


class Settings(KubernetesConfig):
    """The section `kubernetes`, and what else the manifests need.

    `stack_file`: the stack's config without secrets, as the exporter reads it; `runbooks`: URL of the page of runbooks.
    """

    stack_file: str
    runbooks: str
