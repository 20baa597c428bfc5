"""The section `cluster` of stack config: a Kubernetes cluster of one server on Hetzner Cloud, made by the stack."""

import ipaddress
import re
from typing import Annotated

from pydantic import Field, StringConstraints, field_validator, model_validator

from config.base import Section
from config.store import BucketName, Endpoint

HETZNER = "https://api.hetzner.cloud/v1"
RELEASES = "https://github.com/k3s-io/k3s/releases/download"
VERSION = re.compile(r"v1\.(0|[1-9]\d*)\.(0|[1-9]\d*)\+k3s[1-9]\d*\Z")
DIGEST = re.compile(r"[0-9a-f]{64}\Z")
NAME = re.compile(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?\Z")
CRON_FIELD = r"(\*|[0-9]{1,2}(-[0-9]{1,2})?(,[0-9]{1,2}(-[0-9]{1,2})?)*)(/[0-9]{1,2})?"
SCHEDULE = re.compile(rf"{CRON_FIELD}( {CRON_FIELD}){{4}}\Z")
OF_K3S = {"pods": "10.42.0.0/16", "services": "10.43.0.0/16"}  # k3s' own defaults
PRIVATE = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))  # Hetzner takes no other
WIDEST = {4: 8, 6: 16}  # bits of a network by IP version; a wider one is as good as the whole internet
ZONES = {  # network zone by location; a subnet has one
    "fsn1": "eu-central",
    "nbg1": "eu-central",
    "hel1": "eu-central",
    "ash": "us-east",
    "hil": "us-west",
    "sin": "ap-southeast",
}
NODE_PORTS = (30000, 32767)

Kind = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,4}[0-9]{1,3}[a-z]{0,2}$")]


class K3sConfig(Section):
    """The release of k3s. Both values come from one page, https://github.com/k3s-io/k3s/releases."""

    version: str = Field(description="Version, for example v1.34.2+k3s1. A higher one upgrades in place.")
    sha256: str = Field(description="SHA-256 of that version's file `k3s`, from sha256sum-amd64.txt of the release.")
    url: str = Field(
        "",
        pattern=r"^(https?://[^\s@?#]+)?$",
        description="URL of the file, for a mirror of yours. Default: GitHub's release. The digest is checked in any case.",
    )

    @field_validator("version")
    @classmethod
    def _pinned(cls, value: str) -> str:
        if not VERSION.match(value):
            raise ValueError("a version of k3s is written as v1.34.2+k3s1; channels such as stable are not pinned")
        return value

    @field_validator("sha256")
    @classmethod
    def _digest(cls, value: str) -> str:
        if not DIGEST.match(value):
            raise ValueError("a digest is 64 hex digits in lower case; sha256sum-amd64.txt of the release has it")
        return value

    @property
    def source(self) -> str:
        """The URL from which the server downloads it."""
        return self.url or f"{RELEASES}/{self.version.replace('+', '%2B')}/k3s"

    @property
    def minor(self) -> int:
        """The minor version of Kubernetes. An upgrade may pass over none."""
        return int(self.version.split(".")[1])


class BackupsConfig(Section):
    """Snapshots of the cluster's etcd in a bucket: from the last one, a lost server is restored.

    They need keys of their own, `backupAccessKey` and `backupSecretKey`, because the server keeps them.
    """

    enabled: bool = Field(True, description="Whether there are any. Without them a lost server comes back empty.")
    schedule: str = Field("0 */6 * * *", description="When the server takes one, as cron writes it (UTC).")
    keep: int = Field(28, ge=1, le=1000, description="How many scheduled ones are kept.")
    endpoint: Endpoint | None = Field(None, description="URL of the S3 API. Default: the store's, as hosts reach it.")
    region: str = Field("", description="Region of the bucket. Default: the store's.")
    bucket: BucketName | None = Field(
        None, description="Bucket; snapshots lie in its folder `cluster/<stack id>`. Default: the store's."
    )

    @field_validator("schedule")
    @classmethod
    def _cron(cls, value: str) -> str:
        if not SCHEDULE.match(value):
            raise ValueError("a schedule has five fields of numbers, as in 0 */6 * * *")
        return value


class ClusterConfig(Section):
    """A Kubernetes cluster of one server on Hetzner Cloud, with k3s. Without this section the stack makes none.

    The section `kubernetes` and `controller.kubernetes` then take it, and name no kubeconfig. docs/cluster.md has the walk,
    costs, upgrades, restore and deletion.
    """

    location: str = Field(description="Location, for example fsn1, nbg1 or hel1.")
    server: Kind = Field("cx33", description="Server type (x86). An edit changes it in place and restarts the server.")
    admin_cidrs: tuple[str, ...] = Field(
        alias="adminCidrs",
        description="Networks (CIDR) from which SSH and the API of Kubernetes can be reached: yours, and that of CI.",
    )
    admin_cidrs_open: bool = Field(
        False,
        alias="adminCidrsOpen",
        description="Allow `adminCidrs` that are as good as the whole internet, such as 0.0.0.0/0.",
    )
    k3s: K3sConfig = Field(description="The release of k3s.")
    volume_gb: int = Field(
        20,
        alias="volumeGb",
        ge=10,
        le=10240,
        description="Size of the volume in GB, on which the disks of pods lie. It can grow, and outlives the server.",
    )
    load_balancer: bool = Field(
        False,
        alias="loadBalancer",
        description="Put a load balancer in front of the receiver. Default: hosts reach it at the server's own address.",
    )
    receiver_port: int = Field(
        30443,
        alias="receiverPort",
        ge=NODE_PORTS[0],
        le=NODE_PORTS[1],
        description="Port of the server at which it serves the receiver.",
    )
    api_port: int | None = Field(
        None,
        alias="apiPort",
        ge=NODE_PORTS[0],
        le=NODE_PORTS[1],
        description="Port of the server at which it serves the controller's API over TLS, to "
        "`controller.kubernetes.clientNetworks` alone. Default: none.",
    )
    protect: bool = Field(
        True, description="Whether Pulumi and Hetzner refuse to delete server, volume and address; set false before."
    )
    backups: BackupsConfig = Field(BackupsConfig(), description="Snapshots of the cluster's state.")
    network: str = Field("10.0.0.0/16", description="Private network of the server, /8 to /24.")
    name: str = Field("", description="Name of server, network and the rest at Hetzner. Default: gpu-fleet-<stack>.")
    api_url: str = Field(
        HETZNER, alias="apiUrl", pattern=r"^https?://[^\s@?#]+[^/\s@?#]$", description="Base URL of the Hetzner API."
    )

    @field_validator("location")
    @classmethod
    def _known_place(cls, value: str) -> str:
        if value not in ZONES:
            raise ValueError(f"Hetzner's locations are {', '.join(ZONES)}")
        return value

    @field_validator("server")
    @classmethod
    def _x86(cls, value: str) -> str:
        if value.startswith("cax"):
            raise ValueError("it has an Arm processor, and our images are made for x86; take a type such as cx33")
        return value

    @field_validator("name")
    @classmethod
    def _host_name(cls, value: str) -> str:
        if value and not NAME.match(value):
            raise ValueError("a name is lower-case letters, digits and dashes, at most 50, and begins with a letter")
        return value

    @field_validator("admin_cidrs")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("it is empty, so that you could not log in; give your own address as 198.51.100.7/32")
        return tuple(str(_network(one)) for one in value)

    @field_validator("network")
    @classmethod
    def _private(cls, value: str) -> str:
        network = _network(value)
        if not 8 <= network.prefixlen <= 24 or not any(_within(network, each) for each in PRIVATE):
            raise ValueError("it must be a private network of /8 to /24, such as 10.0.0.0/16")
        for what, taken in OF_K3S.items():
            if network.overlaps(ipaddress.ip_network(taken)):
                raise ValueError(f"it overlaps with {taken}, which k3s gives to {what}; take 10.0.0.0/16")
        return value

    @model_validator(mode="after")
    def _open_on_purpose(self) -> "ClusterConfig":
        wide = [one for one in map(_network, self.admin_cidrs) if one.prefixlen < WIDEST[one.version]]
        if wide and not self.admin_cidrs_open:
            raise ValueError(
                f"adminCidrs has {', '.join(map(str, wide))}, so that the whole internet reaches SSH and the API of "
                "Kubernetes; name your own networks, or set adminCidrsOpen to true"
            )
        return self

    @model_validator(mode="after")
    def _ports_apart(self) -> "ClusterConfig":
        if self.api_port == self.receiver_port:
            raise ValueError(
                f"apiPort and receiverPort are both {self.api_port}; choose another apiPort, such as 30444"
            )
        return self

    @property
    def subnet(self) -> str:
        """The subnet of the server: the second /24 of the network, or the only one."""
        parts = ipaddress.ip_network(self.network).subnets(new_prefix=24)
        first = next(parts)
        return str(next(parts, first))

    @property
    def private_address(self) -> str:
        """The server's address in the subnet. Hetzner keeps the first one for its router."""
        return str(ipaddress.ip_network(self.subnet)[10])


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(
            f"{text} is no network; write it as 198.51.100.0/24, or one address as 198.51.100.7/32"
        ) from None


def _within(
    inner: ipaddress.IPv4Network | ipaddress.IPv6Network, outer: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> bool:
    return (
        isinstance(inner, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network) and inner.subnet_of(outer)
    )
