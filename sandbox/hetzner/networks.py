"""Networks and their subnets."""

import ipaddress
from dataclasses import dataclass, field
from typing import Any

from sandbox.hetzner.bodies import NewNetwork, Range, Subnet
from sandbox.hetzner.catalog import ZONE
from sandbox.hetzner.errors import HetznerError, invalid_field
from sandbox.hetzner.project import Project, Resource

SECONDS = 1.0


@dataclass
class Network(Resource):
    """A private network. `subnets` are (ip range, zone, type); `addresses`: private IPs by server or load balancer.

    `load_balancers` are the load balancers among them.
    """

    ip_range: str = ""
    subnets: list[tuple[str, str, str]] = field(default_factory=list)
    addresses: dict[int, str] = field(default_factory=dict)
    load_balancers: set[int] = field(default_factory=set)
    expose_routes: bool = False

    KIND = "network"

    def to_json(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            **self.common(),
            "ip_range": self.ip_range,
            "subnets": [
                {
                    "type": kind,
                    "ip_range": span,
                    "network_zone": zone,
                    "gateway": str(_network(span)[1]),
                    "vswitch_id": None,
                }
                for span, zone, kind in self.subnets
            ],
            "routes": [],
            "servers": sorted(self.addresses.keys() - self.load_balancers),
            "load_balancers": sorted(self.load_balancers),
            "expose_routes_to_vswitch": self.expose_routes,
        }

    def release(self, number: int) -> None:
        """Take back the address of a server or load balancer. Harmless if it has none."""
        self.addresses.pop(number, None)
        self.load_balancers.discard(number)

    def attach(self, server: int, ip: str | None) -> str:
        """Give a server or load balancer an address, the wanted or the next free one, and return it. Raises HetznerError."""
        if server in self.addresses:
            raise HetznerError("server_already_attached", "server is already attached to network")
        if not self.subnets:
            raise HetznerError("no_subnet_available", "network has no subnet for the server's zone")
        taken = {*self.addresses.values(), *(str(_network(span)[1]) for span, _, _ in self.subnets)}
        if ip is None:
            free = (
                str(host) for span, _, _ in self.subnets for host in _network(span).hosts() if str(host) not in taken
            )
            ip = next(free, None)
        if (
            ip is None
            or ip in taken
            or not any(ipaddress.ip_address(ip) in _network(span) for span, _, _ in self.subnets)
        ):
            raise HetznerError("ip_not_available", "IP is not available")
        self.addresses[server] = ip
        return ip


def create(project: Project, body: NewNetwork) -> dict[str, Any]:
    """Make a network with its subnets."""
    one = Network(project.number(), body.name, body.labels, project.now, False, body.ip_range)
    one.expose_routes = body.expose_routes_to_vswitch
    for subnet in body.subnets:
        _add(one, subnet)
    project.add(one)
    return {"network": one.to_json()}


def add_subnet(project: Project, one: Network, body: Subnet) -> dict[str, Any]:
    """Add a subnet."""
    _add(one, body)
    return {"action": project.begin("add_subnet", [one], SECONDS).to_json(project.now)}


def delete_subnet(project: Project, one: Network, body: Range) -> dict[str, Any]:
    """Remove a subnet. Raises HetznerError if it is in use or not there."""
    found = next((row for row in one.subnets if row[0] == body.ip_range), None)
    if found is None:
        raise HetznerError("not_found", "subnet not found")
    if any(ipaddress.ip_address(ip) in _network(found[0]) for ip in one.addresses.values()):
        raise HetznerError("resource_in_use", "cannot remove subnet because servers are attached to it")
    one.subnets.remove(found)
    return {"action": project.begin("delete_subnet", [one], SECONDS).to_json(project.now)}


def change_ip_range(project: Project, one: Network, body: Range) -> dict[str, Any]:
    """Widen the network's range. Raises HetznerError if a subnet would be outside."""
    if not all(_network(span).subnet_of(_network(body.ip_range)) for span, _, _ in one.subnets):
        raise invalid_field("ip_range", "must contain all subnets")
    one.ip_range = body.ip_range
    return {"action": project.begin("change_ip_range", [one], SECONDS).to_json(project.now)}


def confirm_unused(one: Network) -> None:
    """Raise HetznerError if servers are in the network."""
    if one.addresses:
        raise HetznerError("resource_in_use", "cannot delete network because servers are attached to it")


def _add(one: Network, subnet: Subnet) -> None:
    if subnet.network_zone != ZONE:
        raise invalid_field("network_zone", f"no such network zone; the emulated one is {ZONE}")
    whole, used = _network(one.ip_range), [_network(span) for span, _, _ in one.subnets]
    free = (
        str(span) for span in whole.subnets(new_prefix=max(24, whole.prefixlen)) if not any(map(span.overlaps, used))
    )
    span = subnet.ip_range or next(free, None)
    if span is None or not _network(span).subnet_of(whole):
        raise invalid_field("ip_range", "must be a subnet of the network's IP range")
    if any(_network(span).overlaps(other) for other in used):
        raise HetznerError("networks_overlap", "subnet overlaps with another subnet of the network")
    one.subnets.append((span, subnet.network_zone, subnet.type))


def _network(text: str) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(text)
