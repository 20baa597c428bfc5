"""A node, its network, firewall, key and disk on Hetzner, declared by pulumi-hcloud: a program for contract tests."""

import pulumi
import pulumi_hcloud as hcloud

config = pulumi.Config("node")
key = hcloud.SshKey("key", public_key=config.require("publicKey"))
network = hcloud.Network("network", ip_range="10.0.0.0/16")
subnet = hcloud.NetworkSubnet(
    "subnet", network_id=network.id.apply(int), type="cloud", network_zone="eu-central", ip_range="10.0.1.0/24"
)
firewall = hcloud.Firewall(
    "firewall",
    rules=[
        hcloud.FirewallRuleArgs(direction="in", protocol="tcp", port=port, source_ips=["198.51.100.0/24"])
        for port in ("22", "6443")
    ],
)
group = hcloud.PlacementGroup("group", type="spread")
server = hcloud.Server(
    "node",
    server_type=config.get("type") or "cx33",
    image="debian-12",
    location="fsn1",
    ssh_keys=[key.id],
    firewall_ids=[firewall.id.apply(int)],
    placement_group_id=group.id.apply(int),
    user_data=f"#cloud-config\n# {config.get('marker') or 'first'}\n",
    networks=[hcloud.ServerNetworkArgs(network_id=network.id.apply(int), ip="10.0.1.10")],
    labels={"stack": config.get("label") or "one"},
    opts=pulumi.ResourceOptions(depends_on=[subnet]),
)
volume = hcloud.Volume("data", size=20, server_id=server.id.apply(int), format="ext4")
pulumi.export("address", server.ipv4_address)
pulumi.export("status", server.status)
