"""Makes the objects that every workload shares: restricted pods, probes, services, files, disks."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Manifest = dict[str, Any]
PART_OF = "gpu-fleet"
CONFIG_DIGEST = "gpu-fleet/config-digest"  # a changed file restarts the pod: programs read their files once


@dataclass(frozen=True)
class Workload:
    """One pod with one container.

    `mounts`: volume by path; `environment`: (Secret, key) by variable; `probe`: (port, path), or the words of a command.
    `single_files`: (ConfigMap, key) by path, for a file among others of the image. `ready_path`: the path that tells
    readiness, if it is another. `grace_seconds`: time to end after SIGTERM; by default 30.
    `hostname`: the pod's, if it is to stay the same from one pod to the next.
    """

    name: str
    image: str
    user: int
    ports: Mapping[str, int]
    probe: tuple[str, str] | list[str]
    memory: str
    cpu: str
    command: Sequence[str] = ()
    arguments: Sequence[str] = ()
    environment: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    single_files: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    ready_path: str = ""
    grace_seconds: int | None = None
    hostname: str = ""
    files: Sequence[Manifest] = ()  # ConfigMaps whose change restarts the pod


def labels(name: str) -> dict[str, str]:
    """Return the labels of a component's objects."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": PART_OF}


def metadata(name: str, namespace: str, component: str, **more: Any) -> dict[str, Any]:
    """Return an object's metadata."""
    return {"name": name, "namespace": namespace, "labels": labels(component), **more}


def config_map(name: str, namespace: str, component: str, files: Mapping[str, str]) -> Manifest:
    """Return files as a ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(name, namespace, component),
        "data": dict(files),
    }


def claim(name: str, namespace: str, component: str, gigabytes: int, storage_class: str) -> Manifest:
    """Return a disk. Without a storage class, the cluster uses its default."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": f"{gigabytes}Gi"}}}
    if storage_class:
        spec["storageClassName"] = storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(name, namespace, component),
        "spec": spec,
    }


def service(
    component: str,
    namespace: str,
    ports: Mapping[str, tuple[int, str]],
    kind: str = "ClusterIP",
    annotations: Mapping[str, str] | None = None,
    node_port: int = 0,
    *,
    keeps_source: bool = False,
) -> Manifest:
    """Return a service. `ports`: (the service's port, name of the pod's port) by name.

    `node_port`: of each node, for a service of one port; 0 leaves the choice to the cluster. `keeps_source`: the pod, and so
    its network policy, sees a client's own address, and only the pod's node serves the port.
    """
    own = {"externalTrafficPolicy": "Local"} if keeps_source else {}
    fixed = {"nodePort": node_port} if node_port else {}
    more = {"annotations": dict(annotations)} if annotations else {}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(component, namespace, component, **more),
        "spec": {
            "type": kind,
            **own,
            "selector": labels(component),
            "ports": [
                {"name": name, "port": port, "targetPort": target, "protocol": "TCP", **fixed}
                for name, (port, target) in ports.items()
            ],
        },
    }


def deployment(workload: Workload, namespace: str) -> Manifest:
    """Return a workload as a Deployment of one pod that meets the restricted Pod Security level.

    An update ends the pod before it starts the next: two pods cannot share a disk, and two exporters would count twice.
    """
    names = {path: path.strip("/").replace("/", "-").replace(".", "-").lower() for path in workload.mounts}
    volumes = [{"name": names[path], **source} for path, source in workload.mounts.items()]
    maps = sorted({name for name, _key in workload.single_files.values()})
    volumes += [{"name": name, "configMap": {"name": name}} for name in maps]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(workload.name, namespace, workload.name),
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels(workload.name)},
            "template": {
                "metadata": {
                    "labels": labels(workload.name),
                    "annotations": {CONFIG_DIGEST: _digest(workload.files)},
                },
                "spec": {
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    **({"hostname": workload.hostname} if workload.hostname else {}),
                    **({"terminationGracePeriodSeconds": workload.grace_seconds} if workload.grace_seconds else {}),
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": workload.user,
                        "runAsGroup": workload.user,
                        "fsGroup": workload.user,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [_container(workload, names)],
                    "volumes": volumes,
                },
            },
        },
    }


def _container(workload: Workload, names: Mapping[str, str]) -> Manifest:
    check = _check(workload.probe)
    ready = _check((workload.probe[0], workload.ready_path)) if workload.ready_path else check
    container: Manifest = {
        "name": workload.name,
        "image": workload.image,
        "args": list(workload.arguments),
        "ports": [{"name": name, "containerPort": number} for name, number in workload.ports.items()],
        "env": [
            *({"name": name, "value": value} for name, value in workload.variables.items()),
            *(
                {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
                for name, (secret, key) in workload.environment.items()
            ),
        ],
        # Limit equals request, so that the kernel ends a pod over its limit instead of a neighbour.
        "resources": {
            "requests": {"cpu": workload.cpu, "memory": workload.memory},
            "limits": {"memory": workload.memory},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "startupProbe": {
            **check,
            "periodSeconds": 5,
            "failureThreshold": 60,
        },  # Prometheus may replay days of its log
        "readinessProbe": {**ready, "periodSeconds": 10},
        "livenessProbe": {**check, "periodSeconds": 30, "failureThreshold": 4},
        "volumeMounts": [
            *(
                {"name": name, "mountPath": path, "readOnly": not _written(workload.mounts[path])}
                for path, name in names.items()
            ),
            *(
                {"name": name, "mountPath": path, "subPath": key, "readOnly": True}
                for path, (name, key) in workload.single_files.items()
            ),
        ],
    }
    if workload.command:
        container["command"] = list(workload.command)
    return container


def _check(probe: tuple[str, str] | list[str]) -> Manifest:
    if isinstance(probe, list):
        return {"exec": {"command": probe}, "timeoutSeconds": 5}
    port, path = probe
    return {"httpGet": {"path": path, "port": port}, "timeoutSeconds": 5}


def _written(source: Mapping[str, Any]) -> bool:
    return "emptyDir" in source or "persistentVolumeClaim" in source


def _digest(files: Sequence[Manifest]) -> str:
    text = json.dumps([file["data"] for file in files], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
