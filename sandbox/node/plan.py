"""Where a node has its files, addresses and names. The process that keeps the node gets the same plan."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from sandbox.node.site import Site

NODE = "node"  # its name in the cluster
API_PORT, KUBELET_PORT, ETCD_PORT, ETCD_PEER_PORT = 6443, 10250, 2379, 2380
SERVICES, API_SERVICE, DNS_SERVICE = "10.96.0.0/16", "10.96.0.1", "10.96.0.10"
NAMES, FIRST_NAME = 8, 10  # how many names of the world pods may know; the last number of the first one's address
RENTED = 2  # the last number of the address of rented machines
INSIDE = "/run/node"  # the node's folder, as its own programs see it: short enough for sockets
FILE = "plan.json"


@dataclass(frozen=True)
class Plan:
    """`home`: the folder of everything that the node writes. `number`: from 0 to 255, each node of the machine has another.

    `images`: archives that containerd gets before pods start. `programs`: the folders in which its programs lie.
    """

    home: str
    number: int
    images: tuple[str, ...]
    programs: tuple[str, ...]

    @property
    def link(self) -> str:
        """The machine's end of the link to the node."""
        return f"gpufleet{self.number}"

    @property
    def gateway(self) -> str:
        """The machine's address for the node."""
        return f"10.222.{self.number}.1"

    @property
    def address(self) -> str:
        """The node's address."""
        return f"10.222.{self.number}.2"

    @property
    def pods(self) -> str:
        """The addresses of pods."""
        return f"10.244.{self.number}.0/24"

    @property
    def cgroup(self) -> str:
        """The control group that holds the node, in each hierarchy."""
        return f"gpu-fleet-node-{self.number}"

    def world_address(self, last: int) -> str:
        """Return an address of this machine that network policies take for a public one, as no private network has it.

        The internet does not route it either: it is of a range for measurements (RFC 2544).
        """
        return f"198.18.{self.number}.{last}"

    @property
    def site(self) -> Site:
        """The settings for the node's own programs."""
        return Site(
            name=NODE,
            address=self.address,
            pods=self.pods,
            services=SERVICES,
            dns=DNS_SERVICE,
            keys=f"{INSIDE}/keys",
            settings=f"{INSIDE}/settings",
            state=INSIDE,
            layers=f"{INSIDE}/containerd",
        )

    def name_address(self, place: int) -> str:
        """Return the machine's address for one of the names that pods know."""
        return self.world_address(FIRST_NAME + place)

    @property
    def rented(self) -> str:
        """The address at which emulated hosts listen, if pods are to reach them."""
        return self.world_address(RENTED)

    @property
    def world(self) -> tuple[str, ...]:
        """Every address of this machine that pods take for one of the world."""
        return (self.rented, *map(self.name_address, range(NAMES)))

    def write(self) -> Path:
        """Write the plan into the node's folder and return the file."""
        file = Path(self.home, FILE)
        file.write_text(json.dumps(asdict(self)))
        return file


def read(file: Path) -> Plan:
    """Read a plan that `write` wrote."""
    found = json.loads(file.read_text())
    return Plan(found["home"], found["number"], tuple(found["images"]), tuple(found["programs"]))
