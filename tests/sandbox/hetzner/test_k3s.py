"""The stand-in of k3s in an emulated server: a real API server, snapshots in a real store, and a cluster brought back."""

import base64
import contextlib
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
import yaml
from hcloud import Client
from hcloud.locations import Location
from hcloud.networks import NetworkSubnet
from hcloud.primary_ips import BoundPrimaryIP
from hcloud.servers import ServerCreatePublicNetwork

from sandbox.hetzner import k3s_binary
from sandbox.hetzner.downloads import Downloads
from sandbox.hetzner.image import Image, folder_in, of_k3s
from sandbox.hetzner.machines import MachinesError
from sandbox.hetzner.namespace_machines import NamespaceMachines
from sandbox.hetzner.testing import running_hetzner
from sandbox.hosts.images import default_cache
from sandbox.services.child import ServiceError
from sandbox.services.object_store import ADMIN, NAME_FOR_HOSTS, REGION, ObjectStore
from tests.doubles.hetzner import made
from tests.doubles.hetzner_login import Login, Pair, login, user_data

pytestmark = [
    pytest.mark.host,
    pytest.mark.monitoring,
    pytest.mark.deep,
    pytest.mark.allow_hosts(["127.0.0.0/8"]),
]
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


@dataclass(frozen=True)
class World:
    """A Hetzner whose servers reach a store and k3s' releases."""

    client: Client
    store: ObjectStore
    s3: Any


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder, cache = tmp_path_factory.mktemp("hetzner"), default_cache()
    with contextlib.ExitStack() as undo:
        try:
            image = Image(folder_in(cache), of_k3s(cache))
            downloads, store = Downloads(folder / "downloads"), ObjectStore(folder / "store")
            store.start()
            undo.callback(store.stop)
            downloads.start()
            undo.callback(downloads.stop)
            inward = {**downloads.inward, f"{NAME_FOR_HOSTS}:443": ("127.0.0.1", store.https_port)}
            machines = NamespaceMachines(
                folder / "home", folder / "cache", image, inward, downloads.ca_pem + store.ca_pem
            )
        except (MachinesError, ServiceError) as error:
            pytest.skip(str(error))
        undo.callback(machines.close)
        running = undo.enter_context(running_hetzner(machines))
        s3 = boto3.client(
            "s3",
            endpoint_url=store.endpoint,
            region_name=REGION,
            aws_access_key_id=ADMIN.access_key,
            aws_secret_access_key=ADMIN.secret_key,
        )
        s3.create_bucket(Bucket="snapshots")
        yield World(Client(running.token, api_endpoint=running.url, poll_interval=0.05), store, s3)


@pytest.fixture
def door(world: World) -> Iterator[BoundPrimaryIP]:
    """The address of the cluster, which outlives a server, and the network."""
    address = world.client.primary_ips.create("ipv4", "door", location=Location(name="fsn1")).primary_ip
    assert address is not None
    subnet = NetworkSubnet(ip_range="10.0.1.0/24", type="cloud", network_zone="eu-central")
    network = world.client.networks.create("stack", "10.0.0.0/16", subnets=[subnet])
    yield address
    for server in world.client.servers.get_all():
        server.delete().wait_until_finished()
    address.delete()
    network.delete()


def node(world: World, door: BoundPrimaryIP, own: Pair, host: Pair) -> str:
    """Make a server in the network, and return its address."""
    wanted = ServerCreatePublicNetwork(ipv4=door, enable_ipv6=False)
    server = made(world.client, user_data=user_data(own, host), public_net=wanted)
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


def secret(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "stringData": {"key": "of great value"}}


def test_a_cluster_is_saved_lost_and_brought_back_on_its_address(world: World, door: BoundPrimaryIP) -> None:
    own, host = Pair.new(), Pair.new()
    address = node(world, door, own, host)
    secrets = "/api/v1/namespaces/default/secrets"
    with login(address, own, host) as ssh:
        install(ssh, VERSION, settings(address))
        assert ssh.run("k3s --version").startswith(f"k3s version {VERSION} (")
        ssh.run("systemctl start k3s || (journalctl -u k3s -n 30; exit 1)")
        assert ssh.run("systemctl is-active k3s") == "active"
        assert ssh.run("stat -c %a /etc/rancher/k3s/k3s.yaml") == "600"
        first = ssh.run("cat /etc/rancher/k3s/k3s.yaml")
        with api(first, address) as cluster:
            assert cluster.get("/readyz").text == "ok"
            assert cluster.post(secrets, json=secret("kept")).status_code == 201
            raw = ssh.run("grep -rac 'of great value' /var/lib/rancher/k3s/server/db/etcd || true")
            assert all(line.endswith(":0") for line in raw.splitlines())  # encrypted at rest
            for number in range(3):
                ssh.run(f"k3s etcd-snapshot save --name drill{number % 2}")
            names = [row["Key"] for row in world.s3.list_objects_v2(Bucket="snapshots")["Contents"]]
            assert all(name.startswith("cluster/one/drill") and name.endswith(".zip") for name in names)
            taken = max(names).rpartition("/")[2]
            assert taken in ssh.run("k3s etcd-snapshot ls")
            cluster.post(secrets, json=secret("too-late")).raise_for_status()

    world.client.servers.get_all()[0].delete().wait_until_finished()
    assert node(world, door, own, host) == address
    with login(address, own, host) as ssh:
        install(ssh, VERSION, settings(address, token="another" * 4))
        reset = f"k3s server --cluster-reset --cluster-reset-restore-path={taken}"
        assert "different token" in ssh.run(reset, status=1)
        ssh.run("rm -rf /var/lib/rancher/k3s")
        ssh.run("cat > /etc/rancher/k3s/config.yaml", given=settings(address))
        assert "Managed etcd cluster membership has been reset" in ssh.run(reset)
        assert "already reset" in ssh.run(reset, status=1)
        ssh.run("systemctl start k3s || (journalctl -u k3s -n 30; exit 1)")
        with api(first, address) as cluster:  # the kubeconfig of before, which the same authorities signed
            assert cluster.get(f"{secrets}/kept").json()["data"]["key"] == "b2YgZ3JlYXQgdmFsdWU="
            assert cluster.get(f"{secrets}/too-late").status_code == 404
        install(ssh, NEWER, settings(address))
        ssh.run("systemctl restart k3s")
        assert NEWER in ssh.run("k3s --version")
        with api(first, address) as cluster:
            assert cluster.get(f"{secrets}/kept").status_code == 200
            assert cluster.delete(f"{secrets}/kept").status_code == 200
        ssh.run("systemctl stop k3s")
        assert ssh.run("pgrep -c kube-apiserver || true") == "0"


def test_a_mistake_is_told_as_k3s_does(world: World, door: BoundPrimaryIP) -> None:
    own, host = Pair.new(), Pair.new()
    address = node(world, door, own, host)
    with login(address, own, host) as ssh:
        install(ssh, VERSION, settings(address, **{"no-such-key": 1}))
        assert "Job for k3s.service failed" in ssh.run("systemctl start k3s", status=1)
        assert "flag provided but not defined: -no-such-key" in ssh.run("journalctl -u k3s -n 20 --no-pager")
        assert "flag provided but not defined" in ssh.run("k3s server --nonsense", status=1)
        assert "does not answer" in ssh.run(
            "cat > /etc/rancher/k3s/config.yaml; k3s etcd-snapshot save", status=1, given=settings(address)
        )
        assert "Read-only" in ssh.run("echo x > /usr/local/lib/sandbox/bin/etcd", status=1)
        wrong = FETCH.format(quoted="v1.34.2%2Bk3s1", digest="0" * 64)
        assert "FAILED" in ssh.run(wrong, status=1)
