"""Grafana with its data source and dashboards. It needs no disk, because every setting comes from files."""

from monitoring.dashboards.boards import BOARDS
from monitoring.dashboards.grafana import document
from monitoring.kubernetes.images import reference
from monitoring.kubernetes.objects import Manifest, Workload, config_map, deployment, service
from monitoring.kubernetes.prometheus import PORTS, text
from monitoring.kubernetes.settings import GRAFANA_PASSWORD, GRAFANA_SECRET, Settings

USER = 472  # the image's user
DASHBOARDS = "/etc/dashboards"
PROVISIONING = "/etc/grafana/provisioning"


def grafana(settings: Settings) -> list[Manifest]:
    """Return Grafana: its provisioning files, its pod and its service."""
    boards = [dashboard(settings.namespace, uid, content) for uid, content in documents().items()]
    source = config_map("grafana-datasources", settings.namespace, "grafana", {"prometheus.yaml": text(_sources())})
    providers = config_map("grafana-dashboards", settings.namespace, "grafana", {"fleet.yaml": text(_providers())})
    projected = [{"configMap": {"name": board["metadata"]["name"]}} for board in boards]
    workload = Workload(
        name="grafana",
        image=reference("grafana", settings.digests, settings.image),
        user=USER,
        ports={"http": PORTS["grafana"]},
        probe=("http", "/api/health"),
        memory="256Mi",
        cpu="50m",
        variables={
            "GF_LOG_MODE": "console",
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
            "GF_USERS_ALLOW_SIGN_UP": "false",
            "GF_DATE_FORMATS_DEFAULT_TIMEZONE": "UTC",
            "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": f"{DASHBOARDS}/{BOARDS[0].uid}.json",
        },
        environment={"GF_SECURITY_ADMIN_PASSWORD": (GRAFANA_SECRET, GRAFANA_PASSWORD)},
        mounts={
            f"{PROVISIONING}/datasources": {"configMap": {"name": "grafana-datasources"}},
            f"{PROVISIONING}/dashboards": {"configMap": {"name": "grafana-dashboards"}},
            DASHBOARDS: {"projected": {"sources": projected}},
            "/var/lib/grafana": {"emptyDir": {}},
            "/tmp": {"emptyDir": {}},  # noqa: S108 -- the container's own
        },
        files=[source, providers, *boards],
    )
    return [
        *boards,
        source,
        providers,
        deployment(workload, settings.namespace),
        service("grafana", settings.namespace, {"http": (PORTS["grafana"], "http")}),
    ]


def documents() -> dict[str, str]:
    """Return the JSON document of every dashboard, by dashboard id."""
    return {board.uid: document(board) for board in BOARDS}


def dashboard(namespace: str, uid: str, content: str) -> Manifest:
    """Return one dashboard as a ConfigMap, with the label that Grafana's sidecar looks for."""
    made = config_map(f"dashboard-{uid}", namespace, "grafana", {f"{uid}.json": content})
    made["metadata"]["labels"] |= {"grafana_dashboard": "1"}
    return made


def _sources() -> Manifest:
    source = {
        "name": "Prometheus",
        "uid": "prometheus",
        "type": "prometheus",
        "access": "proxy",
        "url": f"http://prometheus:{PORTS['prometheus']}",
        "isDefault": True,
        "editable": False,
        "jsonData": {"timeInterval": "15s", "httpMethod": "POST"},
    }
    return {"apiVersion": 1, "datasources": [source]}


def _providers() -> Manifest:
    provider = {
        "name": "gpu-fleet",
        "folder": "gpu-fleet",
        "type": "file",
        "allowUiUpdates": False,
        "options": {"path": DASHBOARDS},
    }
    return {"apiVersion": 1, "providers": [provider]}
