"""The settings from which the manifests are made."""

from config.kubernetes import KubernetesConfig

# Names and keys of the Secrets that the program makes besides the manifests.
RECEIVER_SECRET, RECEIVER_KEY = "door-key", "METRICS_KEY"
TLS_KEYS = ("tls.crt", "tls.key")
EXPORTER_SECRET, EXPORTER_KEYS = "exporter-keys", ("GPU_FLEET_MARKET_KEY", "STORE_ACCESS_KEY", "STORE_SECRET_KEY")
GRAFANA_SECRET, GRAFANA_PASSWORD = "grafana-admin", "password"
ALERTMANAGER_SECRET, ALERTMANAGER_FILE = "alertmanager-config", "alertmanager.yml"

CONTROLLER, CONTROLLER_PORT = (
    "controller",
    8080,
)  # service and port of the controller of elastic fleets, in its namespace


class Settings(KubernetesConfig):
    """The section `kubernetes` of stack config, and four more inputs of the manifests.

    `stack_file`: the stack's config without secrets, as the exporter reads it; `runbooks`: URL of the page of runbooks;
    `controller_namespace`: where the controller of elastic fleets is, if the cluster has it;
    `receiver_node_port`: the port of the node at which hosts reach the receiver, in the stack's own cluster; else 0.
    """

    stack_file: str
    runbooks: str
    controller_namespace: str = ""
    receiver_node_port: int = 0
