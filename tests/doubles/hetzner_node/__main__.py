"""A node, its network, firewall, key, disk, address and load balancer on Hetzner, declared by pulumi-hcloud: a program for
contract tests.
"""

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
address = hcloud.PrimaryIp(
    "address",
    type="ipv4",
    location="fsn1",
    assignee_type="server",
    auto_delete=False,
    # The API calls an address without a server "unassigned", which the plugin keeps in the state as a difference.
    opts=pulumi.ResourceOptions(ignore_changes=["assigneeType"]),
)
server = hcloud.Server(
    "node",
    server_type=config.get("type") or "cx33",
    image="debian-12",
    location="fsn1",
    ssh_keys=[key.id],
    firewall_ids=[firewall.id.apply(int)],
    placement_group_id=group.id.apply(int),
    user_data=f"#cloud-config\n# {config.get('marker') or 'first'}\n",
    public_nets=[hcloud.ServerPublicNetArgs(ipv4_enabled=True, ipv4=address.id.apply(int), ipv6_enabled=False)],
    networks=[hcloud.ServerNetworkArgs(network_id=network.id.apply(int), ip="10.0.1.10")],
    labels={"stack": config.get("label") or "one"},
    opts=pulumi.ResourceOptions(depends_on=[subnet]),
)
volume = hcloud.Volume("data", size=20, location="fsn1", format="ext4")
hcloud.VolumeAttachment("data", volume_id=volume.id.apply(int), server_id=server.id.apply(int), automount=False)
balancer = hcloud.LoadBalancer("door", load_balancer_type="lb11", location="fsn1")
reached = hcloud.LoadBalancerNetwork(
    "door",
    load_balancer_id=balancer.id.apply(int),
    network_id=network.id.apply(int),
    opts=pulumi.ResourceOptions(depends_on=[subnet]),
)
hcloud.LoadBalancerService(
    "door",
    load_balancer_id=balancer.id,
    protocol="tcp",
    listen_port=443,
    destination_port=config.get_int("port") or 30443,
)
hcloud.LoadBalancerTarget(
    "door",
    load_balancer_id=balancer.id.apply(int),
    type="server",
    server_id=server.id.apply(int),
    use_private_ip=True,
    opts=pulumi.ResourceOptions(depends_on=[reached]),
)
pulumi.export("address", server.ipv4_address)
pulumi.export("door", balancer.ipv4)
pulumi.export("status", server.status)
