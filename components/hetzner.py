"""The stack's own cluster: one server on Hetzner Cloud with k3s, and all that belongs to it.

Only stacks with the section `cluster` import this file, and `pulumi_hcloud` with it. No part of the cluster holds a token of
Hetzner, and nothing in it makes resources there. So a destroy has to find only the resources that Pulumi made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pulumi
import pulumi_hcloud as hcloud

from components.fleet import OwnReceiver
from components.hetzner_balancer import HTTPS, Site, put_load_balancer
from components.hetzner_rules import (
    backups_of,
    clients_of,
    default_name,
    firewall_rules,
    first_start,
    key_name,
    keys_of,
    own_keys_advice,
)
from config.cluster import ZONES, ClusterConfig
from config.stack import StackConfig
from providers.cluster.names import OWNER
from providers.cluster.resource import Account, Certificate, Kubeconfig, Node
from providers.identity.resource import Identity

if TYPE_CHECKING:
    from providers.cluster.server_keys import ServerKeys

IMAGE = "debian-12"
Value = TypeVar("Value")
NEVER_REPLACED_FOR = ["userData", "image", "sshKeys"]  # each would make Hetzner's server anew, with everything on it


@dataclass(frozen=True)
class ClusterArgs:
    """The inputs of the cluster. `token` is Hetzner's; `backup_keys` open the snapshots' bucket, if there is one.

    `common` serves our own resources; `bucket` must be there before the first snapshot.
    """

    stack: StackConfig
    identity: Identity
    token: pulumi.Output[str]
    backup_keys: tuple[pulumi.Output[str], pulumi.Output[str]] | None
    common: pulumi.ProviderResource
    bucket: pulumi.Resource

    @property
    def cluster(self) -> ClusterConfig:
        """The section."""
        assert self.stack.cluster is not None
        return self.stack.cluster


class HetznerCluster(pulumi.ComponentResource):
    """`gpu-fleet:components:HetznerCluster`: the resources that Hetzner charges for, and k3s on the server.

    Outputs: `address`; `kubeconfig`, a secret; `receiver`, to which hosts report, with `certificate`; `api`, the
    controller's URL for clients, if it is open to them, with `api_certificate`; `node`, after which the cluster serves;
    `account`, which knows the price.
    """

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpu-fleet:components:HetznerCluster", name, None, opts)
        cluster, identity = args.cluster, args.identity
        self._args, self._cluster = args, cluster
        self._name = cluster.name or default_name(pulumi.get_stack())
        self._labels = {OWNER: identity.stackId}
        self._own = pulumi.ResourceOptions(parent=self, provider=args.common)
        self.account = Account("cluster-account", self._spec(), self._own)
        provider = hcloud.Provider(
            "hetzner",
            token=args.token,
            endpoint=cluster.api_url,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.account]),
        )
        self._options = pulumi.ResourceOptions(parent=self, provider=provider, depends_on=[self.account])
        self._kept = pulumi.ResourceOptions.merge(self._options, pulumi.ResourceOptions(protect=cluster.protect))
        primary = hcloud.PrimaryIp(
            "cluster-address",
            name=self._name,
            type="ipv4",
            location=cluster.location,
            assignee_type="server",
            auto_delete=False,
            delete_protection=cluster.protect,
            labels=self._labels,
            # Since August 2026 Hetzner says `unassigned` of a free address, which is no edit.
            opts=pulumi.ResourceOptions.merge(self._kept, pulumi.ResourceOptions(ignore_changes=["assigneeType"])),
        )
        self.address = primary.ip_address
        volume = hcloud.Volume(
            "cluster-volume",
            name=self._name,
            location=cluster.location,
            size=cluster.volume_gb,
            format="ext4",
            delete_protection=cluster.protect,
            labels=self._labels,
            opts=self._kept,
        )
        keys = _sealed(identity.tokenSecret.apply(keys_of))
        server = self._server(primary, volume, keys)
        attachment = hcloud.VolumeAttachment(
            "cluster-volume-attachment",
            volume_id=volume.id.apply(int),
            server_id=server.id.apply(int),
            automount=False,  # the server mounts it at the path that k3s expects
            opts=self._options,
        )
        outside = self.address
        if cluster.load_balancer:
            site = Site(self._name, self._labels, self._network.id.apply(int), self._options, self._kept)
            outside = put_load_balancer(site, cluster, server)
        self.certificate = self._certificate("receiver-certificate", outside)
        self.api, self.api_certificate = self._api()
        self.node = self._node(server, volume, keys, attachment)
        self.kubeconfig = _sealed(self._kubeconfig(keys).kubeconfig)
        port = HTTPS if cluster.load_balancer else cluster.receiver_port
        url = pulumi.Output.concat("https://", outside, "" if port == HTTPS else f":{port}")
        self.receiver = OwnReceiver(url, (self.node,))
        self.register_outputs({"address": self.address})

    def _certificate(self, name: str, address: pulumi.Output[str]) -> Certificate:
        identity = self._args.identity
        inputs = {"addresses": [address], "caKey": identity.caKey, "caCertificate": identity.caCertificate}
        return Certificate(name, inputs, self._own)

    def _api(self) -> tuple[pulumi.Output[str] | None, tuple[pulumi.Output[str], pulumi.Output[str]] | None]:
        """Return the URL of the controller's API at the server, with certificate and key; None for each if it is closed.

        The load balancer does not serve it, because Hetzner's firewalls protect servers alone.
        """
        if not clients_of(self._args.stack):
            return None, None
        made = self._certificate("api-certificate", self.address)
        return pulumi.Output.concat("https://", self.address, f":{self._cluster.api_port}"), (
            made.certificate,
            made.key,
        )

    @property
    def receiver_certificate(self) -> tuple[pulumi.Output[str], pulumi.Output[str]] | None:
        """The receiver's certificate and key; None if config names another URL, whose certificate is the operator's."""
        derived = self._args.stack.metrics is not None and not self._args.stack.metrics.url
        return (self.certificate.certificate, self.certificate.key) if derived else None

    def _spec(self) -> dict[str, Any]:
        cluster = self._cluster
        return {
            "apiUrl": cluster.api_url,
            "name": self._name,
            "location": cluster.location,
            "server": cluster.server,
            "volumeGb": cluster.volume_gb,
            "loadBalancer": cluster.load_balancer,
            "network": cluster.network,
            "stackId": self._args.identity.stackId,
        }

    def _server(
        self, primary: hcloud.PrimaryIp, volume: hcloud.Volume, keys: "pulumi.Output[ServerKeys]"
    ) -> hcloud.Server:
        cluster, identity = self._cluster, self._args.identity
        self._network = hcloud.Network(
            "cluster-network", name=self._name, ip_range=cluster.network, labels=self._labels, opts=self._options
        )
        subnet = hcloud.NetworkSubnet(
            "cluster-subnet",
            network_id=self._network.id.apply(int),
            type="cloud",
            network_zone=ZONES[cluster.location],
            ip_range=cluster.subnet,
            opts=self._options,
        )
        firewall = hcloud.Firewall(
            "cluster-firewall",
            name=self._name,
            rules=[hcloud.FirewallRuleArgs(**rule) for rule in self._rules()],
            labels=self._labels,
            opts=self._options,
        )
        login = hcloud.SshKey(
            "cluster-key",
            # A rotated key is made before the old one goes, and Hetzner has no two of one name.
            name=identity.sshPublicKey.apply(lambda line: key_name(self._name, line)),
            public_key=identity.sshPublicKey,
            labels=self._labels,
            opts=self._options,
        )
        user_data = pulumi.Output.all(keys, identity.sshPublicKey, volume.linux_device).apply(
            lambda known: first_start(known[0], known[1], cluster, known[2])
        )
        kept = pulumi.ResourceOptions(depends_on=[subnet], ignore_changes=NEVER_REPLACED_FOR)
        return hcloud.Server(
            "cluster-server",
            name=self._name,
            server_type=cluster.server,
            image=IMAGE,
            location=cluster.location,
            ssh_keys=[login.id],
            firewall_ids=[firewall.id.apply(int)],
            public_nets=[hcloud.ServerPublicNetArgs(ipv4_enabled=True, ipv4=primary.id.apply(int), ipv6_enabled=False)],
            networks=[
                hcloud.ServerNetworkArgs(
                    network_id=self._network.id.apply(int), ip=cluster.private_address, alias_ips=[]
                )
            ],
            user_data=_sealed(user_data),
            keep_disk=True,  # so that a smaller type stays possible
            delete_protection=cluster.protect,
            rebuild_protection=cluster.protect,
            labels=self._labels,
            opts=pulumi.ResourceOptions.merge(self._kept, kept),
        )

    def _rules(self) -> list[dict[str, Any]]:
        stack = self._args.stack
        return firewall_rules(self._cluster, reports=stack.kubernetes is not None, clients=clients_of(stack))

    def _way(self, keys: "pulumi.Output[ServerKeys]") -> dict[str, Any]:
        """Return the way to the server over SSH. The fingerprint is no secret."""
        identity = self._args.identity
        return {
            "address": self.address,
            "hostKey": pulumi.Output.unsecret(keys.apply(lambda known: known.fingerprint)),
            "sshPrivateKey": identity.sshPrivateKey,
            "previousSshPrivateKey": identity.previousSshPrivateKey,
        }

    def _node(
        self,
        server: hcloud.Server,
        volume: hcloud.Volume,
        keys: "pulumi.Output[ServerKeys]",
        attachment: hcloud.VolumeAttachment,
    ) -> Node:
        cluster, secret = self._cluster, self._args.backup_keys
        inputs = {
            **self._way(keys),
            "name": self._name,
            "privateAddress": cluster.private_address,
            "serverId": server.id,
            "server": server.server_type,
            "device": volume.linux_device,
            "volumeGb": volume.size,
            "apiUrl": cluster.api_url,
            "k3s": cluster.k3s.model_dump(),
            "backups": backups_of(cluster, self._args.stack.store, self._args.identity.stackId),
            "sshPublicKey": self._args.identity.sshPublicKey,
            "k3sToken": _sealed(keys.apply(lambda known: known.token)),
            "nodePassword": _sealed(keys.apply(lambda known: known.node_password)),
            **(dict(zip(("backupAccessKey", "backupSecretKey"), secret, strict=True)) if secret else {}),
        }
        after = pulumi.ResourceOptions(depends_on=[attachment, self._args.bucket])
        return Node("cluster-node", inputs, pulumi.ResourceOptions.merge(self._own, after))

    def _kubeconfig(self, keys: "pulumi.Output[ServerKeys]") -> Kubeconfig:
        after = pulumi.ResourceOptions(depends_on=[self.node])
        inputs = {**self._way(keys), "authority": self.node.authority}
        return Kubeconfig("cluster-kubeconfig", inputs, pulumi.ResourceOptions.merge(self._own, after))


def make_cluster(
    stack: StackConfig,
    identity: Identity,
    source: pulumi.Config,
    common: pulumi.ProviderResource,
    bucket: pulumi.Resource,
) -> HetznerCluster:
    """Declare the stack's own cluster, and export its address, its kubeconfig and its price."""
    assert stack.cluster is not None
    backup_keys = None
    if stack.cluster.backups.enabled:
        backup_keys = (source.require_secret("backupAccessKey"), source.require_secret("backupSecretKey"))
        pulumi.Output.all(source.require_secret("storeAccessKey"), backup_keys[0]).apply(_advise_own_keys)
    args = ClusterArgs(stack, identity, source.require_secret("hcloudToken"), backup_keys, common, bucket)
    made = HetznerCluster("cluster", args)
    pulumi.export("cluster", {"address": made.address, "eurosAMonth": made.account.eurosAMonth})
    pulumi.export("kubeconfig", made.kubeconfig)
    return made


def _advise_own_keys(keys: Sequence[str]) -> None:
    if advice := own_keys_advice(*keys):
        pulumi.log.warn(advice)


def _sealed(value: pulumi.Output[Value]) -> pulumi.Output[Value]:
    """Return an output as a secret."""
    sealed: pulumi.Output[Value] = pulumi.Output.secret(value)
    return sealed
