"""Bringing k3s on the cluster's server to what config says, over a connection to an invented server."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from bootstrap.errors import HostUnreachable, StepFailed
from bootstrap.host import Result
from config.cluster import K3sConfig
from providers.cluster.api_server import renewed
from providers.cluster.errors import ClusterError
from providers.cluster.k3s_config import K3sSettings, SnapshotPlace
from providers.cluster.node import CONFIG, LOGIN, PASSWORD, Node, NodeSpec, unreachable
from tests.doubles.clock import FakeClock
from tests.doubles.k3s_yaml import K3S_YAML

K3S = K3sConfig(version="v1.34.2+k3s1", sha256="a" * 64)
LINE = "ssh-ed25519 AAAA gpu-fleet-x"
PLACE = SnapshotPlace("https://fsn1.example", "fsn1", "weights", "cluster/abc", "access", "hush-hush")


@dataclass
class Server:
    """A server of Hetzner's: files, k3s, and every command that it ran."""

    binary: str = K3S.sha256
    data: bool = False
    active: bool = False
    prepared: bool = True
    failed: str = ""
    interface: str = "enp7s0"
    ready_after: int = 0
    fails: str = ""
    files: dict[str, str] = field(default_factory=lambda: {LOGIN: f"{LINE}\n"})
    ran: list[str] = field(default_factory=list)
    looks: int = 0
    trouble: str = ""

    def run(self, command: str, stdin: bytes = b"", timeout: float = 60) -> Result:
        if command.startswith("exec python3"):
            self.looks += 1
            return Result(0, json.dumps(self.facts()), "")
        if command.startswith("cat "):
            return Result(0, self.files.get(command.split()[1], ""), "")
        self.ran.append(command)
        if self.fails and self.fails in command:
            return Result(1, "", "it broke\nand says why")
        if "systemctl daemon-reload; systemctl" in command:
            self.active, self.data = True, True
            self.files["/etc/rancher/k3s/k3s.yaml"] = K3S_YAML
        if command.endswith("gpu-fleet-node k3s"):
            self.binary = json.loads(self.files["/etc/gpu-fleet/node.json"])["k3s"]["sha256"]
        if "--cluster-reset-restore-path" in command:
            self.data = True
        return Result(0, "", "")

    def put(self, data: bytes, path: str, mode: int) -> None:
        self.files[path] = data.decode()
        assert mode == (0o644 if path.startswith("/etc/gpu-fleet") else 0o600)

    def close(self) -> None:
        """Nothing to close."""

    def facts(self) -> dict[str, Any]:
        def digest(path: str) -> str:
            return hashlib.sha256(self.files[path].encode()).hexdigest() if path in self.files else ""

        late = self.looks <= self.ready_after
        return {
            "prepared": self.prepared and not late,
            "failed": self.failed,
            "version": "v1.34.2+k3s1",
            "binary": self.binary,
            "config": digest(CONFIG),
            "password": digest(PASSWORD),
            "data": self.data,
            "active": self.active,
            "interface": "" if late else self.interface,
            "login": self.files[LOGIN].splitlines(),
        }


def node(
    server: Server, snapshot: str = "", k3s: K3sConfig = K3S, said: list[str] | None = None, clock: Any = None
) -> Node:
    settings = K3sSettings("gpu-fleet-dev", "198.51.100.9", "10.0.1.10", "", "t" * 64, "0 */6 * * *", 28, PLACE)
    spec = NodeSpec(settings, k3s, LINE, "p" * 32, "/dev/disk/by-id/scsi-0HC_Volume_1")
    lines = said if said is not None else []
    report = lambda phase, text: lines.append(f"{phase} {text}")  # noqa: E731
    return Node(server, spec, lambda: snapshot, clock or FakeClock(), report, lambda _text: server.trouble)


def test_a_new_server_gets_its_config_and_starts() -> None:
    server = Server(ready_after=3)

    text = node(server).bring()

    assert "server: https://198.51.100.9:6443" in text
    assert server.looks == 4
    config = yaml.safe_load(server.files[CONFIG])
    assert config["flannel-iface"] == "enp7s0"
    assert config["tls-san"] == ["198.51.100.9"]
    assert (config["node-ip"], config["advertise-address"]) == ("10.0.1.10", "10.0.1.10")
    assert config["secrets-encryption"] is True
    assert config["disable"] == ["traefik", "servicelb", "metrics-server"]
    assert (config["etcd-s3-endpoint"], config["etcd-s3-folder"]) == ("fsn1.example", "cluster/abc")
    assert "etcd-s3-insecure" not in config
    assert server.files[PASSWORD] == "p" * 32
    assert server.ran == ["systemctl daemon-reload; systemctl start k3s"]
    assert not [command for command in server.ran if "hush" in command or "t" * 64 in command]

    server.ran.clear()
    node(server).bring()
    assert server.ran == []


def test_a_server_that_was_made_anew_takes_the_last_snapshot() -> None:
    server, said = Server(), list[str]()

    node(server, "etcd-snapshot-gpu-fleet-dev-1700000000.zip", said=said).bring()

    restore, start = server.ran
    assert "--cluster-reset-restore-path=etcd-snapshot-gpu-fleet-dev-1700000000.zip" in restore
    assert restore.index("touch /var/lib/gpu-fleet/restoring") < restore.index("--cluster-reset")
    assert restore.endswith("rm -f /var/lib/gpu-fleet/restoring")
    assert start.endswith("start k3s")
    assert "restore snapshot etcd-snapshot-gpu-fleet-dev-1700000000.zip" in said


def test_a_bucket_that_does_not_answer_starts_no_empty_cluster() -> None:
    server = Server()

    def unknown() -> str:
        raise ClusterError("the snapshots cannot be listed")

    made = node(server)
    made._newest = unknown
    with pytest.raises(ClusterError, match="cannot be listed"):
        made.bring()
    assert server.ran == []
    server.data = True
    made.bring()


def test_an_upgrade_takes_a_snapshot_fetches_and_restarts() -> None:
    server = Server()
    node(server).bring()
    server.ran.clear()

    node(server, k3s=K3sConfig(version="v1.35.0+k3s1", sha256="b" * 64)).bring()

    assert server.ran == [
        "/usr/local/bin/k3s etcd-snapshot save --name before-v1.35.0-k3s1",
        "/usr/local/sbin/gpu-fleet-node k3s",
        "systemctl daemon-reload; systemctl restart k3s",
    ]
    assert "v1.35.0%2Bk3s1" in server.files["/etc/gpu-fleet/node.json"]


def test_without_a_snapshot_nothing_is_upgraded() -> None:
    server = Server()
    node(server).bring()
    server.fails = "etcd-snapshot save"

    with pytest.raises(StepFailed, match="no snapshot could be taken: it broke"):
        node(server, k3s=K3sConfig(version="v1.35.0+k3s1", sha256="b" * 64)).bring()
    assert server.binary == K3S.sha256


def test_a_larger_volume_is_filled_and_a_failure_is_told() -> None:
    server = Server()

    node(server).grow()
    assert server.ran == ["resize2fs /dev/disk/by-id/scsi-0HC_Volume_1"]
    server.fails = "resize2fs"
    with pytest.raises(StepFailed, match="file system did not grow: it broke"):
        node(server).grow()


def test_a_rotated_key_is_the_only_one_that_logs_in() -> None:
    server = Server(files={LOGIN: "ssh-ed25519 older\nssh-ed25519 by-hand\n"})

    node(server).bring()

    assert server.files[LOGIN] == f"{LINE}\n"


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (Server(prepared=False, failed="the k3s at URL has the digest x"), "could not be prepared: the k3s at URL has"),
        (Server(prepared=False), "still waits for cloud-init after 900 s"),
        (Server(interface=""), "still waits for its private address 10.0.1.10"),
        (Server(trouble="it answers 500 etcd"), r"is not ready after 600 s \(it answers 500 etcd\). k3s says: nothing"),
    ],
)
def test_a_server_that_does_not_come_up_is_told_in_one_sentence(server: Server, said: str) -> None:
    with pytest.raises(ClusterError, match=said):
        node(server).bring()


def test_a_failed_download_is_told_in_the_programs_own_words() -> None:
    server = Server()
    node(server).bring()
    server.fails = "gpu-fleet-node k3s"

    with pytest.raises(ClusterError, match="and says why"):
        node(server, k3s=K3sConfig(version="v1.35.0+k3s1", sha256="b" * 64)).bring()


def test_a_kubeconfig_whose_certificate_ends_soon_makes_k3s_restart() -> None:
    server = Server(files={LOGIN: LINE, "/etc/rancher/k3s/k3s.yaml": K3S_YAML})
    later = FakeClock(start=4_000_000_000.0)

    for clock, restarts in ((FakeClock(), 0), (later, 1)):
        server.ran.clear()
        assert renewed(server, "198.51.100.9", clock, lambda _phase, _text: None, lambda _text: "")
        assert len(server.ran) == restarts


def test_who_is_not_let_in_learns_of_admin_cidrs_and_of_the_cost() -> None:
    said = str(unreachable(HostUnreachable("SSH at 198.51.100.9:22 does not let us in after 600 s"), "198.51.100.9"))

    assert "your own address is not in gpu-fleet:cluster.adminCidrs" in said
    assert "goes on costing" in said
    assert "\n" not in said


def test_what_the_server_prints_of_itself_is_read_back() -> None:
    from providers.cluster.plan import ServerFacts  # noqa: PLC0415
    from providers.cluster.server_files.facts import facts  # noqa: PLC0415

    found = ServerFacts.model_validate(facts("10.255.255.254"))

    assert found.interface == ""
    assert not found.data or Path("/var/lib/rancher").exists()
