"""Machines of emulated servers on this machine, each on a public address of loopback, and load balancers before them."""

import ipaddress
import itertools
import random
import shutil
import threading
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from sandbox.hetzner.bodies import Rule
from sandbox.hetzner.doors import Doors, is_free
from sandbox.hetzner.errors import HetznerError
from sandbox.hetzner.firewalls import Firewall
from sandbox.hetzner.image import Image
from sandbox.hetzner.load_balancers import LoadBalancer
from sandbox.hetzner.machines import MachinesError
from sandbox.hetzner.networks import Network
from sandbox.hetzner.project import Project
from sandbox.hetzner.server_groups import ServerGroups
from sandbox.hetzner.server_machine import ServerMachine, World, demand_root
from sandbox.hetzner.servers import Server
from sandbox.hetzner.volumes import Volume
from sandbox.hosts.forwarder import Dial, Forwarder
from sandbox.hosts.namespaces import Spawner
from sandbox.hosts.spec import HostsError
from sandbox.services.port_owner import port_owner

RANGE = ipaddress.ip_network("127.96.0.0/11")
SSH, API = 22, 6443
ALWAYS = frozenset({SSH, API})  # on a real server every port can be reached; here these, and those that firewalls name
MOST_OF_A_RANGE = 32
OPERATOR = IPv4Address("127.0.0.1")  # from where this machine's own clients come


class NamespaceMachines:
    """Makes machines in namespaces. When this process ends, also by kill -9, the kernel ends every one of them.

    `home` is a folder of its own, which this empties. `outward` and `ca_pem`: see World. Raises MachinesError.
    """

    def __init__(
        self, home: Path, cache: Path, image: Image, outward: Mapping[str, tuple[str, int]], ca_pem: str = ""
    ) -> None:
        demand_root()
        image.demand()
        if not is_free((str(RANGE[1]), SSH)):
            owner = port_owner(SSH) or "another program"
            raise MachinesError(
                f"Hetzner's emulated servers listen on port {SSH} of addresses of loopback, and {owner} listens there on "
                "every address. Have it listen on this machine's own address (sshd_config: ListenAddress)."
            )
        shutil.rmtree(home, ignore_errors=True)  # left by a killed sandbox
        (home / "volumes").mkdir(parents=True, mode=0o700)
        mount_point = cache / "hosts" / "mount-point"
        mount_point.mkdir(parents=True, exist_ok=True)
        self._home, self._spawner, self._forwarding = home, Spawner(), Forwarder()
        self._groups = ServerGroups(home / "servers") if image.runs_pods else None
        self._world = World(image, home, mount_point, self._spawner, self._forwarding, outward, ca_pem, self._groups)
        self._doors = Doors(self._forwarding)
        self._machines: dict[int, ServerMachine] = {}
        self._published: dict[int, set[tuple[str, int]]] = {}
        self._turns = itertools.count()
        self._lock = threading.RLock()
        self._given: set[str] = set()

    def machine(self, server: int) -> ServerMachine:
        """Return the machine of a server. Raises MachinesError if it has none."""
        if server not in self._machines:
            raise MachinesError(f"Server {server} has no machine.")
        return self._machines[server]

    def close(self) -> None:
        """End every machine."""
        with self._lock:
            self._doors.close_all()
            for number in list(self._machines):
                self._machines.pop(number).destroy()
            self._forwarding.stop()
            self._spawner.close()
            if self._groups is not None:
                self._groups.close()
            shutil.rmtree(self._home, ignore_errors=True)

    def public_address(self, _number: int) -> str:
        """Return an address of loopback that nothing else uses. Raises HetznerError."""
        for _ in range(100):
            address = str(RANGE[random.SystemRandom().randrange(256, RANGE.num_addresses - 1)])
            if address not in self._given and is_free((address, SSH)):
                self._given.add(address)
                return address
        raise HetznerError("resource_unavailable", "no public address is free on this machine")

    def update(self, project: Project, server: Server) -> None:
        """Bring a server's machine to what its record says."""
        address = server.ipv4(project) or ""
        if server.status == "running" and server.id not in self._machines:
            self._machines[server.id] = ServerMachine(self._world, server, address)
        machine = self._machines.get(server.id)
        if machine is not None:
            machine.have_networks(_networks(project, server))
            machine.have_volumes({one.id for one in project.all(Volume) if one.server == server.id})
            if server.status == "running":
                machine.start()
            elif server.status == "off":
                machine.stop()
        self._publish(project, server, address)

    def restart(self, server: Server) -> None:
        """Cut a server's power and boot it."""
        if machine := self._machines.get(server.id):
            machine.stop()
            machine.start()

    def rebuild(self, server: Server) -> None:
        """End a server's machine; the next update makes it anew."""
        if machine := self._machines.pop(server.id, None):
            machine.destroy()

    def delete(self, server: int) -> None:
        """End a server's machine."""
        for place in self._published.pop(server, set()):
            self._doors.close(place)
        if machine := self._machines.pop(server, None):
            machine.destroy()

    def forget_volume(self, volume: int) -> None:
        """Remove a volume's content."""
        shutil.rmtree(self._world.folder_of(volume), ignore_errors=True)

    def answers(self, server: int, address: IPv4Address, port: int) -> bool:
        """Say whether a server accepts a connection on an address of its own."""
        machine = self._machines.get(server)
        return machine is not None and machine.answers(str(address), port)

    def balance(self, project: Project, balancer: LoadBalancer) -> None:
        """Listen on a load balancer's address, and pass each connection to the next target that answers."""
        self.end_balance(balancer.id)
        if not balancer.is_public or balancer.id not in project.resources.get(LoadBalancer.KIND, {}):
            return
        targets = [(one.server, balancer.address_of(project, one)) for one in balancer.targets]
        for service in balancer.services:
            place = (balancer.ipv4, service.listen_port)
            known = [(server, address) for server, address in targets if address]
            try:
                self._doors.open(place, self._to_any(known, service.destination_port))
            except OSError as error:
                raise MachinesError(f"Port {place[1]} of {place[0]} cannot be opened: {error.strerror}.") from error
            self._published.setdefault(balancer.id, set()).add(place)

    def end_balance(self, balancer: int) -> None:
        """Close a load balancer's ports."""
        for place in self._published.pop(balancer, set()):
            self._doors.close(place)

    def _to_any(self, targets: list[tuple[int, str]], port: int) -> Dial:
        def dial() -> Any:
            first = next(self._turns)
            for turn in range(len(targets)):
                server, address = targets[(first + turn) % len(targets)]
                machine = self._machines.get(server)
                if machine is not None and machine.answers(address, port):
                    return machine.dial(address, port)
            raise HostsError("no target of the load balancer answers")

        return dial

    def _publish(self, project: Project, server: Server, address: str) -> None:
        walls = [one for one in project.all(Firewall) if server.id in one.servers]
        wanted = {(address, port) for port in ports(walls)} if address else set()
        for place in self._published.get(server.id, set()) - wanted:
            self._doors.close(place)
        self._published[server.id] = wanted
        for place in wanted:
            try:
                if server.status == "running" and is_open(walls, place[1]):
                    self._doors.open(place, self._to_server(server.id, *place))
                else:
                    self._doors.silence(place)
            except OSError as error:
                raise MachinesError(f"Port {place[1]} of {place[0]} cannot be opened: {error.strerror}.") from error

    def _to_server(self, server: int, address: str, port: int) -> Dial:
        return lambda: self.machine(server).dial(address, port)


def _networks(project: Project, server: Server) -> dict[int, str]:
    return {one.id: one.addresses[server.id] for one in project.all(Network) if server.id in one.addresses}


def ports(walls: Iterable[Firewall]) -> set[int]:
    """Return the ports to listen on: those that are always wanted, and those that firewalls name."""
    named = (_range(rule) for wall in walls for rule in wall.rules if _is_for_tcp(rule))
    return {*ALWAYS, *(port for span in named if len(span) <= MOST_OF_A_RANGE for port in span)}


def is_open(walls: Iterable[Firewall], port: int) -> bool:
    """Say whether firewalls let this machine's clients reach a TCP port. Without a firewall each port is open."""
    rules = [wall.rules for wall in walls]
    return not rules or any(
        _is_for_tcp(rule)
        and port in _range(rule)
        and any(OPERATOR in ipaddress.ip_network(one) for one in rule.source_ips)
        for each in rules
        for rule in each
    )


def _is_for_tcp(rule: Rule) -> bool:
    return rule.direction == "in" and rule.protocol == "tcp"


def _range(rule: Rule) -> range:
    if rule.port in (None, "any"):
        return range(1, 65536)
    first, _, last = str(rule.port).partition("-")
    return range(int(first), int(last or first) + 1)
