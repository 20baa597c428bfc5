"""Servers of the emulated Hetzner are machines that boot Debian with real cloud-init."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
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
from tests.doubles.hetzner_login import Pair, enter, user_data
from tests.doubles.until import until

pytestmark = [pytest.mark.host, pytest.mark.deep, pytest.mark.allow_hosts(["127.0.0.0/8"])]
IMAGE = Image(folder_in(default_cache()))


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


REST = """
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
- [touch, /root/ran]
- [systemctl, enable, --now, hello]
"""


def test_a_server_boots_with_its_user_data_and_its_disk_outlives_the_power(
    client: Client, running: RunningHetzner
) -> None:
    own, host = Pair.new(), Pair.new()
    server = made(client, user_data=user_data(own, host, REST))
    address = server.public_net.ipv4.ip
    ssh = enter(address, own, host)
    until(lambda: ssh.run("test -e /root/ran && echo yes || true"), "runcmd to run")
    assert ssh.run("cat /etc/marker; echo; hostname") == "from user data\nnode-0"
    assert ssh.run("ls /etc/ssh/ssh_host_*_key") == "/etc/ssh/ssh_host_ed25519_key"
    assert ssh.run("grep ^ID= /etc/os-release; grep ^VERSION_ID= /etc/os-release") == 'ID=debian\nVERSION_ID="12"'
    until(lambda: ssh.run("systemctl is-active hello || true") == "active", "the unit to run")
    ssh.run("cloud-init status --wait; echo kept > /root/kept")
    ssh.run("mount -t tmpfs none /mnt; ip link add left type dummy; nft add table inet left")
    ssh.close()

    server.power_off().wait_until_finished()
    with pytest.raises(TimeoutError):
        socket.create_connection((address, 22), timeout=0.5).close()
    server.power_on().wait_until_finished()
    ssh = enter(address, own, host)
    assert ssh.run("cat /root/kept; test ! -e /run/units/left && echo clean") == "kept\nclean"
    assert ssh.run("mountpoint -q /mnt; nft list tables; ls /sys/class/net") == "lo", (
        "no machine keeps these without power"
    )
    until(lambda: ssh.run("systemctl is-active hello || true") == "active", "the enabled unit to start at boot")
    ssh.run("systemctl stop hello; systemctl start hello & systemctl start hello; wait")
    assert ssh.run("pgrep -fc '[s]upervise hello'") == "1", "two starts at once share one process"
    ssh.close()

    server.reboot().wait_until_finished()
    enter(address, own, host).close()
    server.rebuild(server.image).action.wait_until_finished()
    ssh = enter(address, own, host)
    assert ssh.run("test ! -e /root/kept && echo fresh") == "fresh"
    ssh.close()
    server.delete().wait_until_finished()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, 22), timeout=5).close()
    assert list((running.project.machines._home / "servers").iterdir()) == []  # type: ignore[attr-defined]


def test_volumes_networks_and_a_load_balancer_reach_it(client: Client) -> None:
    own, host = Pair.new(), Pair.new()
    subnet = NetworkSubnet(ip_range="10.0.1.0/24", type="cloud", network_zone="eu-central")
    network = client.networks.create("stack", "10.0.0.0/16", subnets=[subnet])
    server = made(client, user_data=user_data(own, host, REST))
    server.attach_to_network(network, ip="10.0.1.10").wait_until_finished()
    answer = client.volumes.create(20, "data", server=server, format="ext4")
    for action in (answer.action, *answer.next_actions):
        action.wait_until_finished()
    volume: Any = answer.volume
    ssh = enter(server.public_net.ipv4.ip, own, host)
    assert ssh.run("ip -o -4 addr show enp7s0").split()[3] == "10.0.1.10/32"
    line = f"{volume.linux_device} /data ext4 defaults,nofail 0 0"
    ssh.run(f"mkdir /data; echo '{line}' >> /etc/fstab; mount /data; mountpoint -q /data; echo kept > /data/kept")
    until(lambda: ssh.run("systemctl is-active hello || true") == "active", "the unit to run")

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

    until(lambda: through() == b"HTTP/1.0 200 OK", "the load balancer to pass something on")
    balancer.reload()
    assert balancer.targets[0].health_status[0].status in ("unknown", "healthy")
    ssh.close()

    server.delete().wait_until_finished()
    volume.reload()
    assert volume.server is None
    second = made(client, user_data=user_data(own, host, REST))
    volume.attach(second).wait_until_finished()
    ssh = enter(second.public_net.ipv4.ip, own, host)
    assert ssh.run(f"mkdir /data; mount {volume.linux_device} /data; cat /data/kept") == "kept"
    ssh.close()


def test_a_firewall_swallows_what_it_does_not_open(client: Client) -> None:
    own, host = Pair.new(), Pair.new()
    here, elsewhere = ["127.0.0.1/32"], ["198.51.100.0/24"]

    def rule(sources: list[str]) -> FirewallRule:
        return FirewallRule(direction="in", protocol="tcp", port="22", source_ips=sources)

    wall = client.firewalls.create("stack", rules=[rule(elsewhere)]).firewall
    server = made(client, user_data=user_data(own, host, REST), firewalls=[wall])
    address = server.public_net.ipv4.ip
    for port in (22, 6443):
        with pytest.raises(TimeoutError):
            socket.create_connection((address, port), timeout=0.5).close()
    for action in wall.set_rules([rule(here)]):
        action.wait_until_finished()
    enter(address, own, host).close()
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
from tests.doubles.hetzner_login import Pair, enter, user_data
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

    until(gone, "the server to end with its sandbox", 10.0)
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
