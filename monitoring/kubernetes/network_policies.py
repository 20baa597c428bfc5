"""Network policies: they deny everything, and allow each way of this table at both of its ends."""

from collections.abc import Sequence
from dataclasses import dataclass

from monitoring.kubernetes.objects import Manifest, labels, metadata
from monitoring.kubernetes.prometheus import PORTS
from monitoring.kubernetes.services import RECEIVER_PORT
from monitoring.kubernetes.settings import CONTROLLER, CONTROLLER_PORT, Settings

ANYWHERE = "anywhere"
HTTPS, DNS = 443, 53


@dataclass(frozen=True)
class Pods:
    """Pods of another namespace: those of one component of ours, or all."""

    namespace: str
    component: str = ""


@dataclass(frozen=True)
class Network:
    """Addresses of a network (CIDR), without those of the networks in `but`."""

    cidr: str
    but: tuple[str, ...] = ()


Peer = str | Pods | Network  # a text is a component of the namespace, or anywhere


@dataclass(frozen=True)
class Way:
    """`source` opens connections to `target`. Without a port, every port is allowed; with `last`, those from port to last."""

    source: Peer
    target: Peer
    port: int | None
    last: int | None = None


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


def ways_of(settings: Settings) -> tuple[Way, ...]:
    """Return the ways of the whole stack; Prometheus reads the metrics of a controller in the cluster, or outside it."""
    if settings.controller_namespace:
        return (*WAYS, Way("prometheus", Pods(settings.controller_namespace, CONTROLLER), CONTROLLER_PORT))
    if settings.controller_address:
        # A policy knows no names, so that only the port bounds this way.
        return (*WAYS, Way("prometheus", ANYWHERE, int(settings.controller_address.rpartition(":")[2])))
    return WAYS


def policies(namespace: str, ways: Sequence[Way]) -> list[Manifest]:
    """Return the network policies: deny all, allow DNS for all, and one policy for each component."""
    ends = {end for way in ways for end in (way.source, way.target) if isinstance(end, str)}
    components = sorted(ends - {ANYWHERE})
    names = {"ports": [_port(DNS, "UDP"), _port(DNS)]}  # to any address: a node's own DNS cache is no pod
    return [
        _policy("deny-all", namespace, {}, {"policyTypes": ["Ingress", "Egress"]}),
        _policy("names", namespace, {}, {"policyTypes": ["Egress"], "egress": [names]}),
        *(_policy(f"{each}-ways", namespace, labels(each), _ways_of(each, ways)) for each in components),
    ]


def _ways_of(component: str, ways: Sequence[Way]) -> Manifest:
    return {
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [_rule("from", way.source, way) for way in ways if way.target == component],
        "egress": [_rule("to", way.target, way) for way in ways if way.source == component],
    }


def _rule(direction: str, peer: Peer, way: Way) -> Manifest:
    ports = {"ports": [_port(way.port, last=way.last)]} if way.port else {}
    # A rule without peers allows all peers.
    return ports if peer == ANYWHERE else {direction: [_peer(peer)], **ports}


def _peer(peer: Peer) -> Manifest:
    if isinstance(peer, str):
        return {"podSelector": {"matchLabels": labels(peer)}}
    if isinstance(peer, Pods):
        # The API server labels each namespace with its name.
        there = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": peer.namespace}}}
        return there | ({"podSelector": {"matchLabels": labels(peer.component)}} if peer.component else {})
    return {"ipBlock": {"cidr": peer.cidr, **({"except": list(peer.but)} if peer.but else {})}}


def _port(port: int, protocol: str = "TCP", last: int | None = None) -> Manifest:
    return {"port": port, **({"endPort": last} if last else {}), "protocol": protocol}


def _policy(name: str, namespace: str, chosen: dict[str, str], spec: Manifest) -> Manifest:
    selector = {"matchLabels": chosen} if chosen else {}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(name, namespace, "traffic"),
        "spec": {"podSelector": selector, **spec},
    }
