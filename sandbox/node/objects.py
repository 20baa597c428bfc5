"""A cluster's objects before any stack: names by CoreDNS, disks of the node, rights to enforce network policies."""

from collections.abc import Mapping
from typing import Any

from sandbox.node.files import DOMAIN
from sandbox.node.plan import DNS_SERVICE, INSIDE, NODE

Object = dict[str, Any]
SYSTEM = "kube-system"
CORE_DNS = {"k8s-app": "kube-dns"}
RBAC = "rbac.authorization.k8s.io/v1"
DISKS, DISK_SIZE = 8, "1000Gi"  # the size is a word: a disk is a folder
WATCHED = {
    "": ["namespaces", "pods", "services", "nodes", "endpoints"],
    "networking.k8s.io": ["networkpolicies"],
    "discovery.k8s.io": ["endpointslices"],
}
POLICY_RIGHTS = [
    {"apiGroups": [group], "resources": kinds, "verbs": ["get", "list", "watch"]} for group, kinds in WATCHED.items()
]
DNS_RIGHTS = [
    {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": ["list", "watch"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
]


def objects(names: Mapping[str, str]) -> dict[str, Object]:
    """Return every object by its path at the API server. `names` leads names of the world to addresses."""
    return {**services(names, DNS_SERVICE), **disks()}


def services(names: Mapping[str, str], dns: str) -> dict[str, Object]:
    """Return what answers for names at the address `dns`, and the rights of who asks the API server on each node."""
    return {
        **rights(
            "kube-router", POLICY_RIGHTS, {"kind": "User", "name": "kube-router", "apiGroup": RBAC.partition("/")[0]}
        ),
        **rights("coredns", DNS_RIGHTS, {"kind": "ServiceAccount", "name": "coredns", "namespace": SYSTEM}),
        **core_dns(names, dns),
    }


def rights(name: str, rules: list[Object], subject: Object) -> dict[str, Object]:
    """Return a cluster role and its binding to a subject."""
    role = {"apiGroup": RBAC.partition("/")[0], "kind": "ClusterRole", "name": name}
    place, head = f"/apis/{RBAC}", {"apiVersion": RBAC, "metadata": {"name": name}}
    return {
        f"{place}/clusterroles/{name}": {**head, "kind": "ClusterRole", "rules": rules},
        f"{place}/clusterrolebindings/{name}": {
            **head,
            "kind": "ClusterRoleBinding",
            "roleRef": role,
            "subjects": [subject],
        },
    }


def disks() -> dict[str, Object]:
    """Return the default storage class and its disks, each a folder of the node; Kubernetes gives pods' groups access."""
    storage = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "local", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    return {
        "/apis/storage.k8s.io/v1/storageclasses/local": storage,
        **{f"/api/v1/persistentvolumes/{disk(number)}": volume(number) for number in range(DISKS)},
    }


def disk(number: int) -> str:
    """Return a disk's name, which is its folder's, too."""
    return f"disk-{number}"


def volume(number: int) -> Object:
    """Return one disk."""
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": disk(number)},
        "spec": {
            "capacity": {"storage": DISK_SIZE},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "local",
            "local": {"path": f"{INSIDE}/disks/{disk(number)}"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }


def corefile(names: Mapping[str, str]) -> str:
    """Return CoreDNS' configuration: the cluster's names, and names of the world that lead to this machine."""
    rows = "".join(f"  {address} {name}\n" for name, address in names.items())
    hosts = f" hosts {{\n{rows}  fallthrough\n }}\n" if rows else ""
    cluster = f" kubernetes {DOMAIN} in-addr.arpa ip6.arpa {{\n  pods insecure\n }}\n"
    return f".:53 {{\n errors\n health\n ready\n{hosts}{cluster} cache 5\n}}\n"


def core_dns(names: Mapping[str, str], dns: str) -> dict[str, Object]:
    """Return CoreDNS: its pod, its settings and its service."""
    meta: Object = {"name": "coredns", "namespace": SYSTEM}
    container = {
        "name": "coredns",
        "image": "registry.local/coredns:1",
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "volumeMounts": [{"name": "settings", "mountPath": "/etc/coredns"}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
    }
    pod = {
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        "priorityClassName": "system-cluster-critical",
        "containers": [container],
        "volumes": [{"name": "settings", "configMap": {"name": "coredns"}}],
    }
    template = {"metadata": {"labels": CORE_DNS}, "spec": pod}
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    space = f"/api/v1/namespaces/{SYSTEM}"
    return {
        f"{space}/serviceaccounts/coredns": {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        f"{space}/configmaps/coredns": {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": meta,
            "data": {"Corefile": corefile(names)},
        },
        f"{space}/services/kube-dns": {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": SYSTEM},
            "spec": {"clusterIP": dns, "selector": CORE_DNS, "ports": ports},
        },
        f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/coredns": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {"replicas": 1, "selector": {"matchLabels": CORE_DNS}, "template": template},
        },
    }
