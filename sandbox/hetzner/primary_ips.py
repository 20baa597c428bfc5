"""Primary IPs: public IPv4 addresses, which outlive their server unless they were made with it."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sandbox.hetzner.bodies import Assignment, NewPrimaryIp
from sandbox.hetzner.catalog import LOCATIONS, Location, named
from sandbox.hetzner.errors import HetznerError, invalid_field
from sandbox.hetzner.project import Project, Resource
from sandbox.hetzner.servers import Server

SECONDS = 1.0


@dataclass
class PrimaryIp(Resource):
    """A public address. `server` is the one that has it; `auto_delete`: it ends with its server."""

    ip: str = field(kw_only=True)
    location: Location = field(kw_only=True)
    auto_delete: bool = field(kw_only=True, default=False)
    server: int | None = field(kw_only=True, default=None)

    KIND = "primary_ip"

    def to_json(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            **self.common(),
            "ip": self.ip,
            "type": "ipv4",
            "assignee_id": self.server,
            "assignee_type": "server" if self.server else "unassigned",
            "auto_delete": self.auto_delete,
            "blocked": False,
            "dns_ptr": [],
            "location": self.location.to_json(),
        }

    def give(self, project: Project, server: Server) -> None:
        """Give the address to a server. Raises HetznerError."""
        if self.server is not None:
            raise HetznerError("primary_ip_assigned", "primary IP is already assigned to a server")
        if server.location != self.location:
            raise HetznerError("primary_ip_datacenter_mismatch", "primary IP is in another location than the server")
        self.server = server.id
        server.on_delete.append(partial(self._let_go, project, server.id))

    def _let_go(self, project: Project, server: int) -> None:
        if self.server == server:
            self.server = None
            if self.auto_delete:
                project.drop(self)


def create(project: Project, body: NewPrimaryIp) -> dict[str, Any]:
    """Make an address, and assign it if the body names a server. Raises HetznerError."""
    if body.type != "ipv4":
        raise HetznerError("not_emulated", "primary IPs of type ipv6 are not emulated")
    server = project.find(Server, body.assignee_id) if body.assignee_id else None
    if server is None and body.location is None:
        raise invalid_field("location", "a primary IP needs a location, or a server")
    place = server.location if server else named("location", LOCATIONS, str(body.location))
    one = new(project, body.name, place, body.auto_delete, body.labels)
    project.add(one)
    if server is None:
        return {"primary_ip": one.to_json()}
    return {"primary_ip": one.to_json(), **assign(project, one, Assignment(assignee_id=server.id))}


def new(
    project: Project, name: str, place: Location, auto_delete: bool, labels: dict[str, str] | None = None
) -> PrimaryIp:
    """Return a new address that the project does not keep yet."""
    number = project.number()
    ip = project.machines.public_address(number)
    return PrimaryIp(number, name, labels or {}, project.now, ip=ip, location=place, auto_delete=auto_delete)


def assign(project: Project, one: PrimaryIp, body: Assignment) -> dict[str, Any]:
    """Give an address to a server that is off. Raises HetznerError."""
    server = project.find(Server, body.assignee_id)
    _demand_off(server)
    if any(other.server == server.id for other in project.all(PrimaryIp)):
        raise HetznerError("server_has_ipv4", "server already has a primary IPv4 address")
    one.give(project, server)
    effect = partial(project.machines.update, project, server)
    return {"action": project.begin("assign_primary_ip", [one, server], SECONDS, effect).to_json(project.now)}


def unassign(project: Project, one: PrimaryIp) -> dict[str, Any]:
    """Take an address from its server, which is off. Raises HetznerError."""
    if one.server is None:
        raise HetznerError("invalid_input", "primary IP is not assigned")
    server = project.find(Server, one.server)
    _demand_off(server)
    one.server = None
    effect = partial(project.machines.update, project, server)
    return {"action": project.begin("unassign_primary_ip", [one, server], SECONDS, effect).to_json(project.now)}


def confirm_unused(one: PrimaryIp) -> None:
    """Raise HetznerError if a server has the address."""
    if one.server is not None:
        raise HetznerError("resource_in_use", "primary IP is still assigned to a server")


def _demand_off(server: Server) -> None:
    if server.status != "off":
        raise HetznerError("server_not_stopped", "server must be stopped before its primary IP changes")
