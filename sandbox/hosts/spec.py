"""What an emulated host is asked to be, and what can be done with one: the seam between the market and the hosts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sandbox.hosts import sshd

SSH_PORT = 22
ONSTART = "/root/onstart.sh"
IDENTITY_PORTS = 70_000  # from here on a container port stands for "the same number inside and outside"


class HostsError(Exception):
    """A host that cannot be made or handled; the message says which, why, and what to do."""


@dataclass(frozen=True)
class HostSpec:
    """One emulated host as the market orders it. Sizes are MB of 2**20 bytes, speeds Mbit/s."""

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
    # UDP ports that are listed; datagrams to them go nowhere.
    published_udp: tuple[int, ...] = ()
    # Runs in place of sshd and onstart; empty for those two.
    command: tuple[str, ...] = ()
    # "name:port" as it is dialled inside -> (machine address, port) that is dialled for it outside.
    inward: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    # The container's share of the machine, 0 for all of it.
    memory_mb: int = 0
    cpu_cores: float = 0.0
    # An extra authority for the host's trust store, PEM, or empty.
    ca_pem: str = ""


@dataclass(frozen=True)
class Traffic:
    """Bytes that went to a host and from it since it was made."""

    down: int = 0
    up: int = 0


class Host(Protocol):
    """One emulated host. Every call blocks until it is done and raises HostsError where it cannot be."""

    @property
    def traffic(self) -> Traffic:
        """Return what went over its line so far; of a destroyed host all that ever did."""

    @property
    def ports(self) -> Mapping[int, int]:
        """Return container port -> port on 127.0.0.1. From 70000 on a service inside listens on the latter."""

    @property
    def udp_ports(self) -> Mapping[int, int]:
        """Return the same of UDP ports."""

    @property
    def ended(self) -> bool:
        """Return whether the host's own command has ended; False while it runs, and of a host with sshd. Never blocks."""

    def stop(self) -> None:
        """End every process; the disk stays."""

    def start(self) -> None:
        """Run what runs at a start of the machine again: sshd and onstart."""

    def destroy(self) -> None:
        """End the host and its disk. Destroying twice is harmless."""

    def log(self) -> str:
        """Return the container log: what onstart and the host's own services wrote."""

    def admit(self, key: str, on: bool = True) -> None:
        """Let a public key in; with on=False no longer."""

    def fault(self, name: str, **options: object) -> None:
        """Break something or, with on=False, mend it again. Which faults there are is the host's own matter."""


class Hosts(Protocol):
    """Whatever makes hosts."""

    def create(self, spec: HostSpec) -> Host:
        """Make one host and return when its SSH server answers. Raises HostsError."""

    def close(self) -> None:
        """Destroy every host that is left."""


class NoHost:
    """A host that is only talked about: nothing listens on its ports, and its log is well-formed."""

    def __init__(self, spec: HostSpec) -> None:
        # Port numbers below 1024 that need no service: nobody listens on loopback's 2..., and a dial is refused.
        self.ports: Mapping[int, int] = {port: 2 + index for index, port in enumerate(spec.published)}
        self.udp_ports: Mapping[int, int] = {port: 2 + index for index, port in enumerate(spec.published_udp)}
        self.traffic = Traffic()
        self.running = True
        self.ended = False
        self.destroyed = False
        self.faults: list[str] = []
        self.keys = list(spec.authorized_keys)

    def stop(self) -> None:
        """Remember that it is stopped."""
        self.running = False

    def start(self) -> None:
        """Remember that it runs."""
        self.running = True

    def destroy(self) -> None:
        """Remember that it is gone."""
        self.running, self.destroyed = False, True

    def log(self) -> str:
        """Return the one line that callers look for, with a fingerprint of no key."""
        return "gpu-fleet host key SHA256:" + "A" * 43 + "\n"

    def admit(self, key: str, on: bool = True) -> None:
        """Remember the key, or forget it."""
        self.keys = sshd.with_key(self.keys, key, on)

    def fault(self, name: str, **options: object) -> None:
        """Remember the fault's name."""
        self.faults.append(name if options.get("on", True) else f"{name} off")


class NoHosts:
    """For a market whose hosts nobody logs into."""

    def create(self, spec: HostSpec) -> NoHost:
        """Return a host that is only talked about."""
        return NoHost(spec)

    def close(self) -> None:
        """Do nothing: there is nothing."""
