"""k3s on an emulated server, by hand: what `pulumi up` does over SSH, and the way to its API server."""

import base64
import contextlib
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import yaml
from hcloud.locations import Location
from hcloud.networks import NetworkSubnet
from hcloud.primary_ips import BoundPrimaryIP
from hcloud.servers import ServerCreatePublicNetwork

from sandbox.hetzner import k3s_binary
from sandbox.services.object_store import ADMIN, NAME_FOR_HOSTS, REGION
from tests.doubles.cluster_world import World
from tests.doubles.hetzner import made
from tests.doubles.hetzner_login import Login, Pair, user_data

VERSION, NEWER = "v1.34.2+k3s1", "v1.34.3+k3s1"
TOKEN = "0123456789abcdef" * 2
UNIT = """[Unit]
ConditionPathExists=/etc/rancher/k3s/config.yaml
[Service]
Type=notify
ExecStartPre=-/sbin/modprobe overlay
ExecStart=/usr/local/bin/k3s server
KillMode=process
Restart=always
RestartSec=5s
TimeoutStartSec=0
[Install]
WantedBy=multi-user.target
"""
FETCH = (
    "set -e; curl -fsSL -o /usr/local/bin/k3s.new 'https://github.com/k3s-io/k3s/releases/download/{quoted}/k3s'; "
    "echo '{digest}  /usr/local/bin/k3s.new' | sha256sum -c -; chmod 755 /usr/local/bin/k3s.new; "
    "mv /usr/local/bin/k3s.new /usr/local/bin/k3s"
)


@contextlib.contextmanager
def door_and_network(world: World) -> Iterator[BoundPrimaryIP]:
    """Have the address of a cluster, which outlives a server, and a network; end all servers with them."""
    address = world.client.primary_ips.create("ipv4", "door", location=Location(name="fsn1")).primary_ip
    assert address is not None
    subnet = NetworkSubnet(ip_range="10.0.1.0/24", type="cloud", network_zone="eu-central")
    network = world.client.networks.create("stack", "10.0.0.0/16", subnets=[subnet])
    yield address
    for server in world.client.servers.get_all():
        server.delete().wait_until_finished()
    address.delete()
    network.delete()


def node(world: World, door: BoundPrimaryIP, own: Pair, host: Pair, **more: Any) -> str:
    """Make a server in the network, and return its address."""
    wanted = ServerCreatePublicNetwork(ipv4=door, enable_ipv6=False)
    server = made(world.client, user_data=user_data(own, host), public_net=wanted, **more)
    server.attach_to_network(world.client.networks.get_by_name("stack"), ip="10.0.1.10").wait_until_finished()
    return str(server.public_net.ipv4.ip)


def settings(address: str, **more: Any) -> str:
    return yaml.safe_dump(
        {
            "node-name": "node-0",
            "cluster-init": True,
            "token": TOKEN,
            "tls-san": [address],
            "node-ip": "10.0.1.10",
            "advertise-address": "10.0.1.10",
            "flannel-iface": "enp7s0",
            "disable": ["traefik", "servicelb"],
            "secrets-encryption": True,
            "write-kubeconfig-mode": "0600",
            "etcd-snapshot-compress": True,
            "etcd-snapshot-retention": 2,
            "etcd-s3": True,
            "etcd-s3-endpoint": NAME_FOR_HOSTS,
            "etcd-s3-region": REGION,
            "etcd-s3-bucket": "snapshots",
            "etcd-s3-folder": "cluster/one",
            "etcd-s3-access-key": ADMIN.access_key,
            "etcd-s3-secret-key": ADMIN.secret_key,
            **more,
        }
    )


def install(ssh: Login, version: str, text: str) -> None:
    quoted = version.replace("+", "%2B")
    ssh.run(FETCH.format(quoted=quoted, digest=k3s_binary.sha256(version)))
    ssh.run("cat > /etc/systemd/system/k3s.service", given=UNIT)
    ssh.run("mkdir -p /etc/rancher/k3s && umask 077 && cat > /etc/rancher/k3s/config.yaml", given=text)
    ssh.run("systemctl daemon-reload && systemctl enable k3s")


def api(kubeconfig: str, address: str) -> httpx.Client:
    """Return a client of the cluster by its kubeconfig, at its public address."""
    document = yaml.safe_load(kubeconfig)
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    assert cluster["server"] == "https://127.0.0.1:6443"
    tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("crt", "key")]
        for file, key in zip(files, ("client-certificate-data", "client-key-data"), strict=True):
            file.write_bytes(base64.b64decode(user[key]))
        tls.load_cert_chain(str(files[0]), str(files[1]))
    return httpx.Client(base_url=f"https://{address}:6443", verify=tls)
