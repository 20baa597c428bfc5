"""The machine of one emulated server: a namespaced host that boots Debian with cloud-init, and its volumes and networks."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sandbox.hetzner import seed
from sandbox.hetzner.image import BOOT, IMAGES, PROGRAMS, Image
from sandbox.hetzner.machines import MachinesError
from sandbox.hetzner.server_groups import LAYERS as LAYERS_OF_SERVER
from sandbox.hetzner.server_groups import ServerGroups
from sandbox.hosts import forwarder
from sandbox.hosts.backend import TRUST_STORE
from sandbox.hosts.forwarder import Forwarder, Listener
from sandbox.hosts.namespaces import Namespaces, Spawner
from sandbox.hosts.pump import Line
from sandbox.hosts.spec import HostsError
from sandbox.node import cgroups
from sandbox.node.programs import SETTINGS

# What a whole machine may do and a container may not: its own networks (12), its users' processes (19), mounts and name (21).
CAPABILITIES = (12, 19, 21)
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}
# Addresses inside each server. They are none of loopback, because the kernel leads no pod to those, and network policies take
# them for public ones: they are of a range for measurements (RFC 2544), as those of the sandbox's own node.
INWARD_NETWORK = "198.19.77"  # each name that leads out has an address of its own there
PUBLIC = "198.19.1.100"  # stands for its public address, where its services are reached from outside
LAYERS = "/var/lib/sandbox/layers"  # of containers: on a disk, because no overlay lies on an overlay
VOLUMES = "/media/sandbox-volumes"
DISK_MB, SHM_MB = 8192, 64
MTU = 1450  # of Hetzner's private networks
FIRST_SLOT = 7  # Debian names the first private interface enp7s0


@dataclass(frozen=True)
class World:
    """What all servers share. `outward`: "name:port" that a server dials -> address and port on this machine.

    `groups`: control groups for servers that run pods; None if they run none.
    """

    image: Image
    home: Path
    mount_point: Path
    spawner: Spawner
    forwarding: Forwarder
    outward: Mapping[str, tuple[str, int]]
    ca_pem: str
    groups: ServerGroups | None = None

    def folder_of(self, volume: int) -> Path:
        """Return where a volume's content lies while no server has it."""
        return self.home / "volumes" / str(volume)


class ServerMachine:
    """One machine. `place`: the public address at its making, empty for none. Each call raises MachinesError."""

    def __init__(self, world: World, server: Any, place: str) -> None:
        self._world, self._place = world, place
        self._number, self._name = server.id, server.name
        self._volumes: set[int] = set()
        self._interfaces: dict[int, tuple[str, str]] = {}  # by network: interface, address
        self._inward: list[Listener] = []
        self._folder = world.home / "servers" / str(server.id)
        self.attached.mkdir(parents=True)
        self._output: IO[bytes] = (self._folder / "console.log").open("a+b", buffering=0)
        self._group = world.groups.make(server.id) if world.groups else ""
        try:
            self._inside = self._made(server)
        except BaseException:
            self._remove_group()
            raise
        self.runs = True

    @property
    def attached(self) -> Path:
        """Return the folder on this machine with the volumes that it has."""
        return self._folder / "attached"

    @property
    def root(self) -> Path:
        """Return its / as this machine sees it."""
        return Path(f"/proc/{self._inside.pid1}/root")

    def console(self) -> str:
        """Return what its boots have printed."""
        return (self._folder / "console.log").read_text(errors="replace")

    def stop(self) -> None:
        """Cut its power: every process ends, and the disk stays."""
        if self.runs:
            self.runs = False
            with _translated():
                self._inside.signal(signal.SIGKILL)
                self._enter("--mount", "--pid", "--net", BOOT, "off")
                if self._group:
                    cgroups.remove(self._group, itself=False)

    def start(self) -> None:
        """Boot it."""
        if not self.runs:
            with _translated():
                self._inside.start()
            self.runs = True

    def dial(self, address: str, port: int) -> tuple[int, socket.socket]:
        """Begin a connection to an address of its own; return connect's error number and the socket."""
        return self._inside.dial(PUBLIC if address == self._place else address, port)

    def answers(self, address: str, port: int) -> bool:
        """Say whether something listens on an address of its own."""
        if not self.runs:
            return False
        try:
            _, connection = self._inside.dial(address, port)
        except HostsError:
            return False
        with connection:
            connection.settimeout(1.0)
            # Inside one machine a connection is made or refused by now.
            return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 and _is_connected(connection)

    def have_volumes(self, wanted: set[int]) -> None:
        """Attach and detach volumes until it has these."""
        devices = self.root / "dev" / "disk" / "by-id"
        for volume in self._volumes - wanted:
            (devices / f"scsi-0HC_Volume_{volume}").unlink(missing_ok=True)
            (self.attached / str(volume)).rename(self._world.folder_of(volume))
        for volume in wanted - self._volumes:
            folder = self._world.folder_of(volume)
            folder.mkdir(parents=True, exist_ok=True)
            folder.rename(self.attached / str(volume))
            devices.mkdir(parents=True, exist_ok=True)
            (devices / f"scsi-0HC_Volume_{volume}").symlink_to(f"{VOLUMES}/{volume}")
        self._volumes = set(wanted)

    def have_networks(self, wanted: Mapping[int, str]) -> None:
        """Have an interface with this address in each of these networks, and no other."""
        for network in self._interfaces.keys() - wanted.keys():
            self._ip("link", "delete", self._interfaces.pop(network)[0])
        for network, address in wanted.items():
            if network not in self._interfaces:
                used = {name for name, _ in self._interfaces.values()}
                free = (f"enp{slot}s0" for slot in range(FIRST_SLOT, FIRST_SLOT + 10))
                name = next(name for name in free if name not in used)
                self._ip("link", "add", name, "mtu", str(MTU), "type", "veth", "peer", "name", f"{name}-far")
                self._ip("address", "add", f"{address}/32", "dev", name)
                for end in (name, f"{name}-far"):
                    self._ip("link", "set", end, "up")
                self._interfaces[network] = (name, address)

    def destroy(self) -> None:
        """End it and its disk. Its volumes stay."""
        for listener in self._inward:
            self._world.forwarding.close(listener)
        self._inward.clear()
        self._inside.destroy()
        self._remove_group()
        for volume in self._volumes:
            (self.attached / str(volume)).rename(self._world.folder_of(volume))
        self._volumes.clear()
        self._output.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _made(self, server: Any) -> Namespaces:
        world = self._world
        names = dict.fromkeys(place.rpartition(":")[0] for place in world.outward)
        leads = {name: f"{INWARD_NETWORK}.{number}" for number, name in enumerate(names, 1)}
        config = {
            "mount_point": str(world.mount_point),
            "name": server.name,
            "address": self._place or "10.255.255.254",
            "more_addresses": [PUBLIC, *leads.values()],
            "own_settings": ["sys/net"],
            "group": self._group,
            "rootless": False,
            "disk_size": f"{DISK_MB}m",
            "disk_folder": "",
            "shm": f"{SHM_MB}m",
            "image": str(world.image.folder),
            "layers": [],
            "files": seed.files(server.name, server.id, server.user_data, server.ssh_keys, leads),
            "appended": {TRUST_STORE: f"\n{world.ca_pem}"} if world.ca_pem else {},
            "binds": [
                (str(self.attached), VOLUMES, False),
                *((str(file), f"{PROGRAMS}/{name}", True) for name, file in world.image.programs.items()),
                *(self._of_pods() if self._group else ()),
            ],
            "capabilities": CAPABILITIES,
            "env": ENVIRONMENT,
            "contained": False,
            "run": [[BOOT]],
        }
        with _translated():
            groups = ServerGroups.folders(self._group) if self._group else []
            inside = Namespaces(world.spawner, server.name, config, self._output, groups)
            try:
                for place, (address, port) in world.outward.items():
                    name, _, own_port = place.rpartition(":")
                    dial = forwarder.dial_machine(address, port)
                    listening = inside.listen(leads[name], int(own_port))
                    self._inward.append(world.forwarding.serve(listening, dial, Line(), host_dialled=True))
            except BaseException:
                inside.destroy()
                raise
        return inside

    def _of_pods(self) -> list[tuple[str, str, bool]]:
        """Return what a server that runs pods has besides: (on this machine, inside, whether it is read-only)."""
        layers, settings = self._folder / LAYERS_OF_SERVER, self._folder / "settings"
        layers.mkdir()
        settings.mkdir()
        found = [(str(layers), LAYERS, False), ("/dev/null", "/dev/kmsg", False)]  # the kernel's log is the machine's
        found += [(str(archive), f"{IMAGES}/{archive.name}", True) for archive in self._world.image.images]
        for name, value in SETTINGS.items():
            if Path("/proc/sys", name).exists():
                shown = settings / name.replace("/", "-")
                shown.write_text(f"{value}\n")
                found.append((str(shown), f"/proc/sys/{name}", True))
        return found

    def _remove_group(self) -> None:
        if self._group:
            with contextlib.suppress(OSError):  # what does not end now is left to the keeper of the groups
                cgroups.remove(self._group)

    def _ip(self, *words: str) -> None:
        self._enter("--net", "ip", *words)

    def _enter(self, *words: str) -> None:
        """Run a command in namespaces of the server; `words` begin with them, as nsenter has it. Raises MachinesError."""
        command = ["nsenter", f"--target={self._inside.pid1}", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MachinesError(f"Server {self._name} cannot be changed by {' '.join(words)}: {done.stderr.strip()}")


@contextlib.contextmanager
def _translated() -> Any:
    try:
        yield
    except (HostsError, OSError) as error:
        raise MachinesError(str(error)) from error


def _is_connected(connection: socket.socket) -> bool:
    try:
        connection.getpeername()
    except OSError:
        return False
    return True


def demand_root() -> None:
    """Raise MachinesError for an ordinary user, who may neither listen on port 22 nor boot a whole machine."""
    if os.geteuid() != 0:
        raise MachinesError("Hetzner's emulated servers need root: they listen on port 22 of addresses of loopback.")
    for program, package in (("nsenter", "util-linux"), ("ip", "iproute2")):
        if shutil.which(program) is None:
            raise MachinesError(f"Hetzner's emulated servers need {program}. Install it: apt-get install {package}")
