"""Servers of the emulated Hetzner are machines that boot Debian with real cloud-init."""

import base64
import contextlib
import io
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hcloud import Client
from hcloud.firewalls import FirewallRule
from hcloud.load_balancer_types import LoadBalancerType
from hcloud.load_balancers import LoadBalancerService, LoadBalancerTarget
from hcloud.locations import Location
from hcloud.networks import NetworkSubnet

from sandbox.hetzner.image import Image, folder_in
from sandbox.hetzner.machines import MachinesError
from sandbox.hetzner.namespace_machines import NamespaceMachines
from sandbox.hetzner.server_machine import demand_root
from sandbox.hetzner.testing import RunningHetzner, running_hetzner
from sandbox.hosts.images import default_cache
from tests.doubles.hetzner import made

pytestmark = [pytest.mark.host, pytest.mark.deep, pytest.mark.allow_hosts(["127.0.0.0/8"])]
IMAGE = Image(folder_in(default_cache()))
BOOT_SECONDS = 120.0


def pytest_skip() -> str:
    """Return why this machine cannot run such servers, empty if it can."""
    try:
        demand_root()
        IMAGE.demand()
    except MachinesError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHetzner]:
    if why := pytest_skip():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("hetzner")
    machines = NamespaceMachines(folder / "home", folder / "cache", IMAGE, {})
    with contextlib.closing(machines), running_hetzner(machines) as one:
        yield one
    assert not (folder / "home").exists()


@pytest.fixture
def client(running: RunningHetzner) -> Iterator[Client]:
    one = Client(running.token, api_endpoint=running.url, poll_interval=0.05)
    yield one
    for server in one.servers.get_all():
        server.delete().wait_until_finished()
    kinds: tuple[Any, ...] = (one.load_balancers, one.volumes, one.networks, one.firewalls)
    for kind in kinds:
        for each in kind.get_all():
            each.delete()


def pair() -> tuple[str, str]:
    """Return a fresh private key and its public line, in OpenSSH's forms."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def wait(true: Callable[[], Any], what: str, seconds: float = BOOT_SECONDS) -> Any:
    """Return the first true answer."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


class Login:
    """A login with a host key that must be this one."""

    def __init__(self, address: str, own: str, host_key: str, port: int = 22) -> None:
        self._ssh = paramiko.SSHClient()
        name = address if port == 22 else f"[{address}]:{port}"
        kind, blob = host_key.split()[:2]
        self._ssh.get_host_keys().add(name, kind, paramiko.Ed25519Key(data=base64.b64decode(blob)))
        key = paramiko.Ed25519Key.from_private_key(io.StringIO(own))
        self._ssh.connect(address, port, "root", pkey=key, allow_agent=False, look_for_keys=False, timeout=10)

    def run(self, command: str) -> str:
        _, out, error = self._ssh.exec_command(command, timeout=60)
        text = out.read().decode() + error.read().decode()
        assert out.channel.recv_exit_status() == 0, text
        return text.strip()

    def close(self) -> None:
        self._ssh.close()


def login(address: str, own: str, host_key: str, port: int = 22) -> Login:
    """Log in as soon as the server answers. A wrong host key raises at once."""

    def try_once() -> Login | None:
        try:
            return Login(address, own, host_key, port)
        except (OSError, EOFError, paramiko.SSHException) as error:
            if isinstance(error, paramiko.BadHostKeyException):
                raise
            return None

    found: Login = wait(try_once, "no login")
    return found


def user_data(host: tuple[str, str], public: str, runcmd: str = "[touch, /root/ran]") -> str:
    private = host[0].strip().replace("\n", "\n    ")
    return f"""#cloud-config
ssh_authorized_keys: ["{public}"]
ssh_deletekeys: true
ssh_genkeytypes: []
ssh_keys:
  ed25519_private: |
    {private}
  ed25519_public: {host[1]}
write_files:
- path: /etc/marker
  content: from user data
- path: /etc/systemd/system/hello.service
  content: |
    [Unit]
    ConditionPathExists=/etc/marker
    [Service]
    ExecStart=/usr/bin/python3 -m http.server 30443 --directory /etc/cloud
    Restart=always
    [Install]
    WantedBy=multi-user.target
runcmd:
- {runcmd}
- [systemctl, enable, --now, hello]
"""


def test_a_server_boots_with_its_user_data_and_its_disk_outlives_the_power(
    client: Client, running: RunningHetzner
) -> None:
    (own, public), host = pair(), pair()
    server = made(client, user_data=user_data(host, public))
    address = server.public_net.ipv4.ip
    ssh = login(address, own, host[1])
    wait(lambda: ssh.run("test -e /root/ran && echo yes || true"), "runcmd did not run")
    assert ssh.run("cat /etc/marker; echo; hostname") == "from user data\nnode-0"
    assert ssh.run("ls /etc/ssh/ssh_host_*_key") == "/etc/ssh/ssh_host_ed25519_key"
    assert ssh.run("grep ^ID= /etc/os-release; grep ^VERSION_ID= /etc/os-release") == 'ID=debian\nVERSION_ID="12"'
    wait(lambda: ssh.run("systemctl is-active hello || true") == "active", "the unit does not run")
    ssh.run("cloud-init status --wait; echo kept > /root/kept")
    ssh.close()

    server.power_off().wait_until_finished()
    with pytest.raises(TimeoutError):
        socket.create_connection((address, 22), timeout=0.5).close()
    server.power_on().wait_until_finished()
    ssh = login(address, own, host[1])
    assert ssh.run("cat /root/kept; test ! -e /run/units/left && echo clean") == "kept\nclean"
    wait(lambda: ssh.run("systemctl is-active hello || true") == "active", "the enabled unit did not start at boot")
    ssh.close()

    server.reboot().wait_until_finished()
    login(address, own, host[1]).close()
    server.rebuild(server.image).action.wait_until_finished()
    ssh = login(address, own, host[1])
    assert ssh.run("test ! -e /root/kept && echo fresh") == "fresh"
    ssh.close()
    server.delete().wait_until_finished()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, 22), timeout=5).close()
    assert list((running.project.machines._home / "servers").iterdir()) == []  # type: ignore[attr-defined]


def test_volumes_networks_and_a_load_balancer_reach_it(client: Client) -> None:
    (own, public), host = pair(), pair()
    subnet = NetworkSubnet(ip_range="10.0.1.0/24", type="cloud", network_zone="eu-central")
    network = client.networks.create("stack", "10.0.0.0/16", subnets=[subnet])
    server = made(client, user_data=user_data(host, public))
    server.attach_to_network(network, ip="10.0.1.10").wait_until_finished()
    answer = client.volumes.create(20, "data", server=server, format="ext4")
    for action in (answer.action, *answer.next_actions):
        action.wait_until_finished()
    volume: Any = answer.volume
    ssh = login(server.public_net.ipv4.ip, own, host[1])
    assert ssh.run("ip -o -4 addr show enp7s0").split()[3] == "10.0.1.10/32"
    line = f"{volume.linux_device} /data ext4 defaults,nofail 0 0"
    ssh.run(f"mkdir /data; echo '{line}' >> /etc/fstab; mount /data; mountpoint -q /data; echo kept > /data/kept")
    wait(lambda: ssh.run("systemctl is-active hello || true") == "active", "the unit does not run")

    service = LoadBalancerService(protocol="tcp", listen_port=443, destination_port=30443, proxyprotocol=False)
    door = client.load_balancers.create("door", LoadBalancerType(name="lb11"), location=Location(name="fsn1"))
    door.action.wait_until_finished()
    balancer: Any = door.load_balancer
    balancer.attach_to_network(network).wait_until_finished()
    balancer.add_service(service).wait_until_finished()
    balancer.add_target(LoadBalancerTarget(type="server", server=server, use_private_ip=True)).wait_until_finished()

    def through() -> bytes:
        with (
            contextlib.suppress(OSError),
            socket.create_connection((balancer.public_net.ipv4.ip, 443), timeout=5) as one,
        ):
            one.sendall(b"GET /cloud.cfg HTTP/1.0\r\n\r\n")
            return one.recv(15)
        return b""

    wait(lambda: through() == b"HTTP/1.0 200 OK", "the load balancer passes nothing on")
    balancer.reload()
    assert balancer.targets[0].health_status[0].status in ("unknown", "healthy")
    ssh.close()

    server.delete().wait_until_finished()
    volume.reload()
    assert volume.server is None
    second = made(client, user_data=user_data(host, public))
    volume.attach(second).wait_until_finished()
    ssh = login(second.public_net.ipv4.ip, own, host[1])
    assert ssh.run(f"mkdir /data; mount {volume.linux_device} /data; cat /data/kept") == "kept"
    ssh.close()


def test_a_firewall_swallows_what_it_does_not_open(client: Client) -> None:
    (own, public), host = pair(), pair()
    here, elsewhere = ["127.0.0.1/32"], ["198.51.100.0/24"]

    def rule(sources: list[str]) -> FirewallRule:
        return FirewallRule(direction="in", protocol="tcp", port="22", source_ips=sources)

    wall = client.firewalls.create("stack", rules=[rule(elsewhere)]).firewall
    server = made(client, user_data=user_data(host, public), firewalls=[wall])
    address = server.public_net.ipv4.ip
    for port in (22, 6443):
        with pytest.raises(TimeoutError):
            socket.create_connection((address, port), timeout=0.5).close()
    for action in wall.set_rules([rule(here)]):
        action.wait_until_finished()
    login(address, own, host[1]).close()
    with pytest.raises(TimeoutError):
        socket.create_connection((address, 6443), timeout=0.5).close()


def test_what_runs_when_the_sandbox_is_killed_ends_with_it(running: RunningHetzner, tmp_path: Path) -> None:
    program = f"""
import sys, time
from pathlib import Path
from hcloud import Client
from sandbox.hetzner.image import Image
from sandbox.hetzner.namespace_machines import NamespaceMachines
from sandbox.hetzner.testing import running_hetzner
from tests.doubles.hetzner import made
folder = Path({str(tmp_path)!r})
machines = NamespaceMachines(folder / "home", folder / "cache", Image(Path({str(IMAGE.folder)!r})), {{}})
with running_hetzner(machines) as one:
    server = made(Client(one.token, api_endpoint=one.url, poll_interval=0.05))
    print(machines.machine(server.id)._inside.pid1, flush=True)
    time.sleep(600)
"""
    repo = Path(__file__).resolve().parents[3]
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=repo, text=True) as child:
        assert child.stdout is not None
        first = int(child.stdout.readline())
        child.kill()
    status = Path(f"/proc/{first}/stat")

    def gone() -> bool:
        try:
            return ") Z " in status.read_text()
        except OSError:
            return True

    wait(gone, "the server outlived its sandbox", 10.0)
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
