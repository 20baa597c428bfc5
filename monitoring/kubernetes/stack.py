"""Lists every object of a cluster, in the order of creation."""

from monitoring.kubernetes.grafana import dashboard, documents, grafana
from monitoring.kubernetes.network_policies import RECEIVER_WAYS, policies, ways_of
from monitoring.kubernetes.objects import PART_OF, Manifest
from monitoring.kubernetes.prometheus import alertmanager, prometheus, rule_object
from monitoring.kubernetes.services import exporter, receiver
from monitoring.kubernetes.settings import Settings

LEVEL = "restricted"  # Pod Security


def namespace(name: str) -> Manifest:
    """Return the namespace. It refuses pods above the restricted Pod Security level."""
    levels = {f"pod-security.kubernetes.io/{mode}": LEVEL for mode in ("enforce", "audit", "warn")}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": PART_OF, **levels}},
    }


def plain(settings: Settings) -> list[Manifest]:
    """Return the whole stack: Prometheus, Alertmanager, Grafana, exporter, receiver."""
    return [
        *policies(settings.namespace, ways_of(settings)),
        *prometheus(settings),
        *alertmanager(settings),
        *grafana(settings),
        *exporter(settings),
        *receiver(settings),
    ]


def existing(settings: Settings) -> list[Manifest]:
    """Return the additions to an existing Prometheus and Grafana: rules, dashboards, the receiver."""
    return [
        *policies(settings.namespace, RECEIVER_WAYS),
        rule_object(settings),
        *(dashboard(settings.namespace, uid, content) for uid, content in documents().items()),
        *receiver(settings),
    ]
