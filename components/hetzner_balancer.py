"""Puts a load balancer of Hetzner in front of the receiver of the stack's own cluster."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_hcloud as hcloud

from config.cluster import ClusterConfig
from providers.cluster.names import LOAD_BALANCER

HTTPS = 443


@dataclass(frozen=True)
class Site:
    """The shared values of one cluster's resources.

    `options` are of any resource, `kept` of those that config may protect.
    """

    name: str
    labels: Mapping[str, pulumi.Input[str]]
    network: pulumi.Output[int]
    options: pulumi.ResourceOptions
    kept: pulumi.ResourceOptions


def put_load_balancer(site: Site, cluster: ClusterConfig, server: hcloud.Server) -> pulumi.Output[str]:
    """Declare it: port 443 to the receiver's port of the server, in the private network. Return its address."""
    balancer = hcloud.LoadBalancer(
        "cluster-load-balancer",
        name=site.name,
        load_balancer_type=LOAD_BALANCER,
        location=cluster.location,
        labels=site.labels,
        delete_protection=cluster.protect,
        opts=site.kept,
    )
    number = balancer.id.apply(int)
    inside = hcloud.LoadBalancerNetwork(
        "cluster-load-balancer-network",
        load_balancer_id=number,
        network_id=site.network,
        opts=pulumi.ResourceOptions.merge(site.options, pulumi.ResourceOptions(depends_on=[server])),
    )
    hcloud.LoadBalancerService(
        "cluster-load-balancer-service",
        load_balancer_id=balancer.id,
        protocol="tcp",
        listen_port=HTTPS,
        destination_port=cluster.receiver_port,
        opts=site.options,
    )
    hcloud.LoadBalancerTarget(
        "cluster-load-balancer-target",
        load_balancer_id=number,
        type="server",
        server_id=server.id.apply(int),
        use_private_ip=True,
        opts=pulumi.ResourceOptions.merge(site.options, pulumi.ResourceOptions(depends_on=[inside])),
    )
    return balancer.ipv4
