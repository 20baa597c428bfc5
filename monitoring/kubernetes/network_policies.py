"""Network policies: they deny everything, and allow each way of this table at both of its ends."""

from collections.abc import Sequence
from dataclasses import dataclass

from monitoring.kubernetes.objects import Manifest, labels, metadata
from monitoring.kubernetes.prometheus import PORTS
from monitoring.kubernetes.services import RECEIVER_PORT

ANYWHERE = "anywhere"
HTTPS, DNS = 443, 53


@dataclass(frozen=True)
class Way:
    """`source` opens connections to `target`. Each is a component or anywhere; without a port, every port is allowed."""

    source: str
    target: str
    port: int | None


WAYS = (
    Way("prometheus", "prometheus", PORTS["prometheus"]),
    Way("prometheus", "alertmanager", PORTS["alertmanager"]),
    Way("prometheus", "exporter", PORTS["exporter"]),
    Way("prometheus", "door", PORTS["door"]),
    Way("prometheus", "grafana", PORTS["grafana"]),
    Way("grafana", "prometheus", PORTS["prometheus"]),
    Way("exporter", "prometheus", PORTS["prometheus"]),
    Way("exporter", ANYWHERE, HTTPS),  # the market and the store
    Way("alertmanager", ANYWHERE, HTTPS),  # the webhooks for alerts
    Way("door", "prometheus", PORTS["prometheus"]),
    Way(ANYWHERE, "door", RECEIVER_PORT),  # the hosts
)
# With an existing Prometheus: it reads the receiver's metrics, and the receiver writes to it, at any place.
RECEIVER_WAYS = (
    Way(ANYWHERE, "door", RECEIVER_PORT),
    Way(ANYWHERE, "door", PORTS["door"]),
    Way("door", ANYWHERE, None),
)


def policies(namespace: str, ways: Sequence[Way]) -> list[Manifest]:
    """Return the network policies: deny all, allow DNS for all, and one policy for each component."""
    components = sorted({end for way in ways for end in (way.source, way.target)} - {ANYWHERE})
    names = {"ports": [_port(DNS, "UDP"), _port(DNS)]}  # to any address: a node's own DNS cache is no pod
    return [
        _policy("deny-all", namespace, {}, {"policyTypes": ["Ingress", "Egress"]}),
        _policy("names", namespace, {}, {"policyTypes": ["Egress"], "egress": [names]}),
        *(_policy(f"{each}-ways", namespace, labels(each), _ways_of(each, ways)) for each in components),
    ]


def _ways_of(component: str, ways: Sequence[Way]) -> Manifest:
    return {
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [_rule("from", way.source, way.port) for way in ways if way.target == component],
        "egress": [_rule("to", way.target, way.port) for way in ways if way.source == component],
    }


def _rule(direction: str, peer: str, port: int | None) -> Manifest:
    ports = {"ports": [_port(port)]} if port else {}
    # A rule without peers allows all peers.
    return ports if peer == ANYWHERE else {direction: [{"podSelector": {"matchLabels": labels(peer)}}], **ports}


def _port(port: int, protocol: str = "TCP") -> Manifest:
    return {"port": port, "protocol": protocol}


def _policy(name: str, namespace: str, chosen: dict[str, str], spec: Manifest) -> Manifest:
    selector = {"matchLabels": chosen} if chosen else {}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(name, namespace, "traffic"),
        "spec": {"podSelector": selector, **spec},
    }
