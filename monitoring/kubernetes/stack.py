"""Everything that goes into a cluster, in the order in which it is made."""

from monitoring.kubernetes.grafana import dashboard, documents, grafana
from monitoring.kubernetes.network_policies import WAYS, WAYS_OF_THE_DOOR, policies
from monitoring.kubernetes.objects import PART_OF, Manifest
from monitoring.kubernetes.prometheus import alertmanager, prometheus, rule_object
from monitoring.kubernetes.services import door, exporter
from monitoring.kubernetes.settings import Settings

LEVEL = "restricted"  # Pod Security


def namespace(name: str) -> Manifest:
    """Return the namespace, which refuses every pod that asks for more than it needs."""
    levels = {f"pod-security.kubernetes.io/{mode}": LEVEL for mode in ("enforce", "audit", "warn")}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": PART_OF, **levels}},
    }


def plain(settings: Settings) -> list[Manifest]:
    """Return the whole stack: Prometheus, Alertmanager, Grafana, door, exporter."""
    return [
        *policies(settings.namespace, WAYS),
        *prometheus(settings),
        *alertmanager(settings),
        *grafana(settings),
        *exporter(settings),
        *door(settings),
    ]


def existing(settings: Settings) -> list[Manifest]:
    """Return what a Prometheus and a Grafana lack that are there already: rules, dashboards, the door."""
    return [
        *policies(settings.namespace, WAYS_OF_THE_DOOR),
        rule_object(settings),
        *(dashboard(settings.namespace, uid, content) for uid, content in documents().items()),
        *door(settings),
    ]
