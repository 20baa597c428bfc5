"""What network policies let through, read from their manifests as networking.k8s.io/v1 says."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Labels = Mapping[str, str]


def lets_through(
    policies: Sequence[Mapping[str, Any]], source: Labels | None, target: Labels | None, port: int
) -> bool:
    """Say whether a TCP connection to a pod's `port` is let out of `source` and into `target`; None is the world."""
    return _side(policies, "Egress", source, target, port) and _side(policies, "Ingress", target, source, port)


def _side(
    policies: Sequence[Mapping[str, Any]], direction: str, pod: Labels | None, peer: Labels | None, port: int
) -> bool:
    if pod is None:
        return True  # policies are for pods
    held = [
        policy["spec"]
        for policy in policies
        if direction in policy["spec"]["policyTypes"] and _chosen(policy["spec"]["podSelector"], pod)
    ]
    return not held or any(_rule(rule, direction, peer, port) for spec in held for rule in _rules(spec, direction))


def _rules(spec: Mapping[str, Any], direction: str) -> Iterable[Mapping[str, Any]]:
    return spec.get(direction.lower(), [])


def _rule(rule: Mapping[str, Any], direction: str, peer: Labels | None, port: int) -> bool:
    peers = rule.get("to" if direction == "Egress" else "from")
    ports = rule.get("ports")
    known = peer is not None and any(_chosen(each["podSelector"], peer) for each in peers or [])
    right_port = not ports or any(each["port"] == port and each.get("protocol", "TCP") == "TCP" for each in ports)
    return (not peers or known) and right_port


def _chosen(selector: Mapping[str, Any], labels: Labels) -> bool:
    return selector.get("matchLabels", {}).items() <= labels.items()
