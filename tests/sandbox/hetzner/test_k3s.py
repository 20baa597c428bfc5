"""The stand-in of k3s in an emulated server: a real API server, snapshots in a real store, and a cluster brought back."""

from collections.abc import Iterator
from typing import Any

import pytest
from hcloud.primary_ips import BoundPrimaryIP

from tests.doubles.cluster_world import World, world_or_skip
from tests.doubles.hetzner_login import Pair, login
from tests.doubles.k3s_server import FETCH, NEWER, VERSION, api, door_and_network, install, node, settings

pytestmark = [
    pytest.mark.host,
    pytest.mark.monitoring,
    pytest.mark.deep,
    pytest.mark.allow_hosts(["127.0.0.0/8"]),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_or_skip(tmp_path_factory.mktemp("hetzner")) as made:
        yield made


@pytest.fixture
def door(world: World) -> Iterator[BoundPrimaryIP]:
    with door_and_network(world) as address:
        yield address


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
        assert "No kubelet runs here: pods are admitted, and none of them starts." in ssh.run("journalctl -u k3s -n 5")
        assert ssh.run("stat -c %a /etc/rancher/k3s/k3s.yaml") == "600"
        first = ssh.run("cat /etc/rancher/k3s/k3s.yaml")
        with api(first, address) as cluster:
            assert cluster.get("/readyz").text == "ok"
            assert cluster.post(secrets, json=secret("kept")).status_code == 201
            raw = ssh.run("grep -rac 'of great value' /var/lib/rancher/k3s/server/db/etcd || true")
            assert all(line.endswith(":0") for line in raw.splitlines())  # encrypted at rest
            for number in range(3):
                ssh.run(f"k3s etcd-snapshot save --name drill{number % 2}")
            names = world.snapshots()
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
