"""A server that has a node's programs runs pods: at its address, on its volume, through restarts, and without a trace."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hcloud import Client
from hcloud.firewalls import FirewallRule
from hcloud.primary_ips import BoundPrimaryIP

from offline.kubernetes_plugin.cluster import Cluster
from providers.kubeconfig import reach
from sandbox.hetzner.machines import MachinesError
from sandbox.node import cgroups
from sandbox.services.child import ServiceError
from tests.doubles.cluster_world import World, running_world
from tests.doubles.hetzner import made
from tests.doubles.hetzner_login import Login, Pair, login, user_data
from tests.doubles.k3s_server import NEWER, VERSION, door_and_network, install, node, settings
from tests.doubles.node_traces import left, look
from tests.doubles.real_node import REPO, images, ready
from tests.doubles.server_traces import GROUPS, cards, groups, mounts_of_pods, processes
from tests.doubles.until import until

pytestmark = [
    pytest.mark.host,
    pytest.mark.monitoring,
    pytest.mark.deep,
    pytest.mark.xdist_group("node"),
    pytest.mark.timeout(600),
    pytest.mark.allow_hosts(["127.0.0.0/8"]),
]
PORT = 30443
EVERYWHERE = ["0.0.0.0/0"]
# Each start of the container is a line of a file on its disk, which it serves.
SERVES = "echo started >> /data/starts; exec python -m http.server 8000 --directory /data"
ACCOUNT = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}}
CLAIM: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data", "namespace": "default"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "serves", "namespace": "default"},
    "spec": {
        "type": "NodePort",
        "selector": {"app": "serves"},
        "ports": [{"port": 80, "targetPort": 8000, "nodePort": PORT}],
    },
}
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "serves", "namespace": "default", "labels": {"app": "serves"}},
    "spec": {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001},
        "containers": [
            {
                "name": "main",
                "image": "gpu-fleet-monitoring:local",
                "command": ["sh", "-c", SERVES],
                "readinessProbe": {"httpGet": {"path": "/starts", "port": 8000}, "periodSeconds": 1},
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }
        ],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    },
}
# Runs a server with a pod in a process that the test kills, and tells when the pod is ready.
ALONE = """
import sys, time
from pathlib import Path
from tests.sandbox.hetzner import test_k3s_pods as pods
with pods.running_world(Path(sys.argv[1]), pods=True) as world, pods.door_and_network(world) as door:
    with pods.server(world, door, pods.Pair.new(), pods.Pair.new()) as ssh:
        cluster = pods.begin(ssh, door.ip)
        pods.until(lambda: pods.ready(cluster, pods.POD), "the pod")
        print("ready", flush=True)
        time.sleep(3600)
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("hetzner")
    before = look(folder)
    with contextlib.ExitStack() as undo:
        try:
            made = undo.enter_context(running_world(folder, pods=True))
        except (MachinesError, ServiceError) as error:
            pytest.skip(str(error))
        yield made
    assert left(before, look(folder)) == []
    assert (processes(folder), cgroups.named(GROUPS)) == ([], [])


@contextlib.contextmanager
def server(world: World, door: BoundPrimaryIP, own: Pair, host: Pair) -> Iterator[Login]:
    """Make a server with the volume `data` mounted at /data, and log in."""
    client = world.client
    wall = client.firewalls.get_by_name("stack")
    if wall is None:
        opened = [
            FirewallRule(direction="in", protocol="tcp", port=str(port), source_ips=EVERYWHERE)
            for port in (22, 6443, PORT)
        ]
        wall = client.firewalls.create("stack", rules=opened).firewall
    address = node(world, door, own, host, firewalls=[wall])
    [one] = client.servers.get_all()
    volume = client.volumes.get_by_name("data")
    if volume is None:
        answer = client.volumes.create(20, "data", server=one, format="ext4")
        for action in (answer.action, *answer.next_actions):
            action.wait_until_finished()
        volume = answer.volume
    else:
        volume.attach(one).wait_until_finished()
    assert volume is not None
    row = f"{volume.linux_device} /data ext4 defaults,nofail 0 0"
    with login(address, own, host) as ssh:
        ssh.run(f"mkdir -p /data; echo '{row}' >> /etc/fstab; mount /data")
        yield ssh


def begin(ssh: Login, address: str) -> Cluster:
    """Start k3s and apply a pod with a disk and a port; return the cluster."""
    install(ssh, VERSION, settings(address, **{"default-local-storage-path": "/data/storage"}))
    ssh.run("systemctl start k3s || (journalctl -u k3s -n 30; exit 1)")
    cluster = cluster_of(ssh, address)
    until(lambda: cluster.get(ACCOUNT), "the namespace's account, without which no pod is admitted")
    for manifest in (CLAIM, SERVICE, POD):
        cluster.apply(manifest)
    return cluster


def cluster_of(ssh: Login, address: str) -> Cluster:
    text = ssh.run("cat /etc/rancher/k3s/k3s.yaml")
    return Cluster(*reach(text.replace("127.0.0.1", address)))


def starts(address: str) -> int:
    """Return how often the pod's container started, as it says at the server's public address; 0 if it does not answer."""
    try:
        answer = httpx.get(f"http://{address}:{PORT}/starts", timeout=5)
    except httpx.HTTPError:
        return 0
    return answer.text.count("started") if answer.is_success else 0


def test_pods_go_on_through_a_restart_come_back_with_the_power_and_after_a_loss(world: World) -> None:
    own, host, before = Pair.new(), Pair.new(), look(world.home)
    with door_and_network(world) as door:
        address = str(door.ip)
        with server(world, door, own, host) as ssh:
            cluster = begin(ssh, address)
            until(lambda: ready(cluster, POD), "the pod")
            until(lambda: starts(address) == 1, "the port of the node at the public address")
            assert ssh.run("cat /data/storage/pvc-*_default_data/starts") == "started"
            assert look(world.home).settings == before.settings
            assert groups()

            install(ssh, NEWER, settings(address, **{"default-local-storage-path": "/data/storage"}))
            ssh.run("systemctl stop k3s")
            assert ssh.run("pgrep -cx kubelet || true") == "0"
            assert starts(address) == 1, "the pod goes on while k3s does not run"
            ssh.run("systemctl start k3s")
            until(lambda: "runs pods" in ssh.run("journalctl -u k3s -n 3"), "the node after the upgrade")
            until(lambda: ready(cluster, POD), "the pod after the upgrade")
            assert starts(address) == 1
            ssh.run("k3s etcd-snapshot save --name drill")
            taken = world.snapshots()[-1].rpartition("/")[2]

        [one] = world.client.servers.get_all()
        one.power_off().wait_until_finished()
        until(lambda: len(processes(world.home)) == 1, "the end of its processes", 20)
        [first] = processes(world.home)
        assert mounts_of_pods(first) == []
        assert cards(first) == {"lo", "enp7s0", "enp7s0-far"}
        assert groups() == []
        one.power_on().wait_until_finished()
        until(lambda: starts(address) == 2, "the pod after the power came back")

        one.delete().wait_until_finished()
        assert (processes(world.home), cgroups.named(GROUPS)) == ([], [])
        with server(world, door, own, host) as ssh:
            install(ssh, NEWER, settings(address, **{"default-local-storage-path": "/data/storage"}))
            ssh.run(f"k3s server --cluster-reset --cluster-reset-restore-path={taken}")
            ssh.run("systemctl start k3s")
            until(lambda: starts(address) == 3, "the pod of the lost server, with its disk")

            cluster = cluster_of(ssh, address)
            for manifest in (POD, CLAIM):
                cluster.delete(manifest)
            until(lambda: ssh.run("ls /data/storage") == "", "the end of the disk, which goes with its claim")


@pytest.mark.usefixtures("world")  # which says what lacks
def test_nothing_is_left_of_a_server_with_pods_if_the_sandbox_is_killed(tmp_path: Path) -> None:
    before = look(tmp_path)
    words = [sys.executable, "-c", ALONE, str(tmp_path)]
    with subprocess.Popen(words, cwd=REPO, stdout=subprocess.PIPE, text=True) as alone:
        assert alone.stdout is not None
        assert alone.stdout.readline() == "ready\n"
        assert groups()
        alone.send_signal(signal.SIGKILL)

    until(lambda: processes(tmp_path) == [], "the end of every process", 60)
    until(lambda: cgroups.named(GROUPS) == [], "the end of every control group", 60)
    until(lambda: not list(tmp_path.glob("home/servers/*/layers")), "the end of the containers' files", 60)
    assert left(before, look(tmp_path)) == []


@pytest.mark.usefixtures("world")
def test_the_daemons_servers_run_pods_if_it_gets_a_nodes_images(tmp_path: Path) -> None:
    def sandbox(*words: str) -> str:
        command = [sys.executable, "-m", "sandbox", *words, "--state", str(tmp_path)]
        return subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=240, check=True).stdout

    ports = [word for name in ("market", "store", "store-https", "hetzner") for word in (f"--{name}-port", "0")]
    sandbox("up", "--vllm", "double", "--hetzner", "on", "--node-images", str(images()[0].parent), *ports)
    try:
        found = json.loads(sandbox("status", "--json"))["hetzner"]
        assert found["runs_pods"]
        client = Client(found["token"], api_endpoint=found["url"], poll_interval=0.1)
        own, host = Pair.new(), Pair.new()
        one = made(client, user_data=user_data(own, host))
        with login(one.public_net.ipv4.ip, own, host) as ssh:
            assert "pause.tar" in ssh.run(
                "/usr/local/lib/sandbox/bin/kubelet --version; ls /usr/local/lib/sandbox/images"
            )
        assert processes(tmp_path / "hetzner")
    finally:
        sandbox("down")
    assert (processes(tmp_path / "hetzner"), cgroups.named(GROUPS)) == ([], [])
