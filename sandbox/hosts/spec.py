"""The interface between the market and the hosts: the order for a host, and the operations on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sandbox.hosts import sshd

SSH_PORT = 22
ONSTART = "/root/onstart.sh"
IDENTITY_PORTS = 70_000  # from this number on, a container port means "the same number inside and outside"


class HostsError(Exception):
    """A host cannot be made or reached. The message names the host, the cause and the next step."""


@dataclass(frozen=True)
class HostSpec:
    """The market's order for one emulated host. Sizes are MB of 2**20 bytes, speeds Mbit/s."""

    instance_id: int
    name: str
    image: str
    env: Mapping[str, str]
    onstart: str
    published: tuple[int, ...]
    authorized_keys: tuple[str, ...]
    disk_mb: int
    shm_mb: int
    gpu_name: str
    gpu_count: int
    gpu_ram_mb: int
    driver: str
    download_mbps: float
    # UDP ports that the market lists; datagrams to them go nowhere.
    published_udp: tuple[int, ...] = ()
    # Runs in place of sshd and onstart; empty for those two.
    command: tuple[str, ...] = ()
    # "name:port" that a program inside dials -> (machine address, port) that the emulator dials for it.
    outward: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    # The container's share of the machine, 0 for all of it.
    memory_mb: int = 0
    cpu_cores: float = 0.0
    # The machine's address at which its published ports listen.
    address: str = "127.0.0.1"
    # An extra authority for the host's trust store, PEM, or empty.
    ca_pem: str = ""


@dataclass(frozen=True)
class Traffic:
    """Bytes to a host and from it since its creation."""

    down: int = 0
    up: int = 0


class Host(Protocol):
    """One emulated host. Every call blocks until it is done, and raises HostsError on a failure."""

    @property
    def traffic(self) -> Traffic:
        """Return the bytes on its line so far; a destroyed host keeps its last count."""

    @property
    def ports(self) -> Mapping[int, int]:
        """Return container port -> port at its order's address. From 70000 on, a service inside listens on the latter."""

    @property
    def udp_ports(self) -> Mapping[int, int]:
        """Return container port -> port at that address of the UDP ports."""

    @property
    def ended(self) -> bool:
        """Return whether the host's own command has ended. False while it runs, and for a host with sshd. Never
        blocks.
        """

    def stop(self) -> None:
        """End every process; the disk stays."""

    def start(self) -> None:
        """Run sshd and onstart again, as a start of the machine does."""

    def destroy(self) -> None:
        """End the host and its disk. Destroying twice is harmless."""

    def log(self) -> str:
        """Return the container log: the output of onstart and of the host's own services."""

    def admit(self, key: str, on: bool = True) -> None:
        """Let a public key in, or with on=False remove it."""

    def fault(self, name: str, **options: object) -> None:
        """Break something or, with on=False, mend it. Each kind of host has its own faults."""


class Hosts(Protocol):
    """Makes hosts."""

    def create(self, spec: HostSpec) -> Host:
        """Make one host and return when its SSH server answers. Raises HostsError."""

    def close(self) -> None:
        """Destroy every host that is left."""


class NoHost:
    """A host without processes, for tests of the market. Nothing listens on its ports; its log is well-formed."""

    def __init__(self, spec: HostSpec) -> None:
        # Port numbers from 2 on, without a listener: loopback refuses each connection.
        self.ports: Mapping[int, int] = {port: 2 + index for index, port in enumerate(spec.published)}
        self.udp_ports: Mapping[int, int] = {port: 2 + index for index, port in enumerate(spec.published_udp)}
        self.traffic = Traffic()
        self.running = True
        self.ended = False
        self.destroyed = False
        self.faults: list[str] = []
        self.keys = list(spec.authorized_keys)

    def stop(self) -> None:
        """Record that it is stopped."""
        self.running = False

    def start(self) -> None:
        """Record that it runs."""
        self.running = True

    def destroy(self) -> None:
        """Record that it is gone."""
        self.running, self.destroyed = False, True

    def log(self) -> str:
        """Return the line that callers look for, with the fingerprint of no key."""
        return "gpu-fleet host key SHA256:" + "A" * 43 + "\n"

    def admit(self, key: str, on: bool = True) -> None:
        """Record the key, or remove it."""
        self.keys = sshd.with_key(self.keys, key, on)

    def fault(self, name: str, **options: object) -> None:
        """Record the fault's name."""
        self.faults.append(name if options.get("on", True) else f"{name} off")


class NoHosts:
    """Makes hosts without processes, for a market without logins."""

    def create(self, spec: HostSpec) -> NoHost:
        """Return a host without processes."""
        return NoHost(spec)

    def close(self) -> None:
        """Do nothing: there is nothing to close."""
