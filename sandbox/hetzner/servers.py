"""The record of a server, and how its status moves."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.hetzner.catalog import Image, Location, ServerType
from sandbox.hetzner.project import Project, Resource

TRAFFIC_BYTES = 21_990_232_555_520


@dataclass
class Server(Resource):
    """A server. `user_data` and `ssh_keys` are what cloud-init gets; the API never shows them.

    `on_delete` are the parts that let go of the server when it ends.
    """

    server_type: ServerType = field(kw_only=True)
    image: Image = field(kw_only=True)
    location: Location = field(kw_only=True)
    ipv6: str | None = field(kw_only=True, default=None)
    status: str = field(kw_only=True, default="initializing")
    user_data: str = field(kw_only=True, default="", repr=False)
    ssh_keys: tuple[str, ...] = field(kw_only=True, default=())
    on_delete: list[Callable[[], object]] = field(kw_only=True, default_factory=list, repr=False)

    KIND = "server"

    def ipv4(self, project: Project) -> str | None:
        """Return its public IPv4 address."""
        address = self._primary_ip(project)
        return address.ip if address else None

    def _primary_ip(self, project: Project) -> Any:
        rows: list[Any] = list(project.resources.get("primary_ip", {}).values())
        return next((one for one in rows if one.server == self.id), None)

    def show(self, project: Project) -> dict[str, Any]:
        """Return it as the API shows it. What other resources hold of it is read from them."""
        resources = project.resources
        networks: list[Any] = [one for one in resources.get("network", {}).values() if self.id in _addresses(one)]
        firewalls: list[Any] = [one for one in resources.get("firewall", {}).values() if self.id in one.servers]  # type: ignore[attr-defined]
        volumes: list[Any] = [one for one in resources.get("volume", {}).values() if one.server == self.id]  # type: ignore[attr-defined]
        groups: list[Any] = [one for one in resources.get("placement_group", {}).values() if self.id in one.servers]  # type: ignore[attr-defined]
        address = self._primary_ip(project)
        balancers: list[Any] = [
            one
            for one in resources.get("load_balancer", {}).values()
            if any(target.server == self.id for target in one.targets)  # type: ignore[attr-defined]
        ]
        return {
            **self.common(),
            "protection": {"delete": self.is_protected, "rebuild": self.is_protected},
            "status": self.status,
            "public_net": {
                "ipv4": address and {"id": address.id, "ip": address.ip, "blocked": False, "dns_ptr": f"{self.name}."},
                "ipv6": self.ipv6 and {"id": self.id, "ip": self.ipv6, "blocked": False, "dns_ptr": []},
                "floating_ips": [],
                "firewalls": [{"id": one.id, "status": "applied"} for one in firewalls],
            },
            "private_net": [
                {
                    "network": one.id,
                    "ip": one.addresses[self.id],
                    "alias_ips": [],
                    "mac_address": _mac(self.id, one.id),
                }
                for one in networks
            ],
            "server_type": self.server_type.to_json(),
            "location": self.location.to_json(),
            "image": self.image.to_json(),
            "iso": None,
            "rescue_enabled": False,
            "locked": project.is_locked(self.id),
            "backup_window": None,
            "outgoing_traffic": 0,
            "ingoing_traffic": 0,
            "included_traffic": TRAFFIC_BYTES,
            "volumes": [one.id for one in volumes],
            "load_balancers": [one.id for one in balancers],
            "primary_disk_size": self.server_type.disk,
            "placement_group": groups[0].to_json() if groups else None,
        }


def _addresses(network: Any) -> dict[int, str]:
    found: dict[int, str] = network.addresses
    return found


def _mac(server: int, network: int) -> str:
    return ":".join(
        f"{byte:02x}" for byte in (0x86, 0, server >> 8 & 255, server & 255, network >> 8 & 255, network & 255)
    )
