"""Settings of k3s: from /etc/rancher/k3s/config.yaml, and from flags, which win."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

FILE = Path("/etc/rancher/k3s/config.yaml")
SWITCHES = frozenset({
    "cluster-init", "cluster-reset", "debug", "disable-cloud-controller", "disable-helm-controller",
    "disable-network-policy", "etcd-disable-snapshots", "etcd-s3", "etcd-s3-insecure", "etcd-s3-skip-ssl-verify",
    "etcd-snapshot-compress", "protect-kernel-defaults", "secrets-encryption",
})  # fmt: skip
LISTS = frozenset({
    "disable", "kube-apiserver-arg", "kube-controller-manager-arg", "kubelet-arg", "node-label", "node-taint", "tls-san",
})  # fmt: skip
VALUES = frozenset({
    "advertise-address", "bind-address", "cluster-cidr", "cluster-dns", "cluster-reset-restore-path", "data-dir",
    "default-local-storage-path", "etcd-s3-access-key", "etcd-s3-bucket", "etcd-s3-endpoint", "etcd-s3-folder",
    "etcd-s3-region", "etcd-s3-secret-key", "etcd-s3-timeout", "etcd-snapshot-dir", "etcd-snapshot-name",
    "etcd-snapshot-retention", "etcd-snapshot-schedule-cron", "flannel-backend", "flannel-iface", "https-listen-port",
    "name", "node-external-ip", "node-ip", "node-name", "server", "service-cidr", "token", "write-kubeconfig",
    "write-kubeconfig-mode",
})  # fmt: skip
SHORT = {"t": "token", "d": "data-dir", "o": "write-kubeconfig"}


class Mistake(Exception):
    """The operator's mistake. The message is k3s' own if k3s has one."""


@dataclass(frozen=True)
class Settings:
    """What k3s was told."""

    values: Mapping[str, Any] = field(default_factory=dict)

    def text(self, key: str, otherwise: str = "") -> str:
        """Return a value."""
        found = self.values.get(key)
        return otherwise if found in (None, "") else str(found)

    def on(self, key: str) -> bool:
        """Say whether a switch is on."""
        return str(self.values.get(key, False)).lower() == "true"

    def each(self, key: str) -> list[str]:
        """Return a list's values; a text has its own between commas."""
        found = self.values.get(key) or []
        rows = found if isinstance(found, list) else [found]
        return [part for row in rows for part in str(row).split(",") if part]

    @property
    def data(self) -> Path:
        """The data folder."""
        return Path(self.text("data-dir", "/var/lib/rancher/k3s"))

    @property
    def etcd(self) -> Path:
        """The folder of etcd's data."""
        return self.data / "server" / "db" / "etcd"

    @property
    def snapshots(self) -> Path:
        """The folder of snapshots on this server."""
        return Path(self.text("etcd-snapshot-dir") or self.data / "server" / "db" / "snapshots")

    @property
    def node(self) -> str:
        """The node's name."""
        return self.text("node-name") or Path("/etc/hostname").read_text().strip()

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig's place."""
        return Path(self.text("write-kubeconfig", "/etc/rancher/k3s/k3s.yaml"))


def read(flags: Sequence[str], file: Path = FILE) -> Settings:
    """Return the settings of a config file and flags. Raises Mistake."""
    found: dict[str, Any] = {}
    if file.exists():
        document = yaml.safe_load(file.read_text()) or {}
        if not isinstance(document, dict):
            raise Mistake(f"{file}: a mapping is wanted")
        for key, value in document.items():
            found[_known(str(key))] = value
    found.update(parsed(flags))
    return Settings(found)


def parsed(flags: Sequence[str]) -> dict[str, Any]:
    """Return the settings of flags. Raises Mistake for one that k3s does not know."""
    found: dict[str, Any] = {}
    rest = list(flags)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            raise Mistake(f"unexpected argument: {word}")
        name, equals, value = word.lstrip("-").partition("=")
        key = _known(SHORT.get(name, name))
        if key in SWITCHES:
            found[key] = value if equals else True
            continue
        if not equals and not rest:
            raise Mistake(f"flag needs an argument: -{name}")
        text = value if equals else rest.pop(0)
        found[key] = [*found.get(key, []), text] if key in LISTS else text
    return found


def _known(key: str) -> str:
    if key not in SWITCHES | LISTS | VALUES:
        raise Mistake(f"flag provided but not defined: -{key}")
    return key
