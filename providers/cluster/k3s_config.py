"""Write the configuration of k3s on the cluster's server, pure. Its keys are flags: docs.k3s.io/cli/server."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import yaml

from providers.cluster.user_data import VOLUME

LEFT_OUT = ("traefik", "servicelb", "metrics-server")  # a load balancer of Kubernetes would wait for Hetzner's for ever


@dataclass(frozen=True)
class SnapshotPlace:
    """A folder of a bucket, and the keys for it."""

    endpoint: str
    region: str
    bucket: str
    folder: str
    access: str = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True)
class K3sSettings:
    """The settings of k3s. `address` is public, `private` in the stack's network; `interface` has the private one.

    `schedule` and `keep` are of snapshots, which stay on the server without a `place`.
    """

    node: str
    address: str
    private: str
    interface: str
    token: str = field(repr=False)
    schedule: str
    keep: int
    place: SnapshotPlace | None = None


def k3s_config(settings: K3sSettings) -> str:
    """Return the text of /etc/rancher/k3s/config.yaml. It holds secrets."""
    document = {
        "node-name": settings.node,
        "cluster-init": True,
        "token": settings.token,
        "tls-san": [settings.address],
        "node-ip": settings.private,
        "advertise-address": settings.private,
        "flannel-iface": settings.interface,
        "disable": list(LEFT_OUT),
        "disable-helm-controller": True,
        "secrets-encryption": True,
        "write-kubeconfig-mode": "0600",
        "default-local-storage-path": f"{VOLUME}/storage",
        "etcd-snapshot-schedule-cron": settings.schedule,
        "etcd-snapshot-retention": settings.keep,
        "etcd-snapshot-compress": True,
        **(_bucket(settings.place) if settings.place else {}),
    }
    return yaml.safe_dump(document, sort_keys=False)


def _bucket(place: SnapshotPlace) -> dict[str, object]:
    url = urlsplit(place.endpoint)
    return {
        "etcd-s3": True,
        "etcd-s3-endpoint": url.netloc,
        **({"etcd-s3-insecure": True} if url.scheme == "http" else {}),
        "etcd-s3-region": place.region,
        "etcd-s3-bucket": place.bucket,
        "etcd-s3-folder": place.folder,
        "etcd-s3-access-key": place.access,
        "etcd-s3-secret-key": place.secret,
    }
