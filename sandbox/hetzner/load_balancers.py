"""The record of a load balancer: its services, its targets, and the targets' health."""

import ipaddress
from dataclasses import dataclass, field
from typing import Any

from sandbox.hetzner.balancer_bodies import HealthCheck, NewService
from sandbox.hetzner.catalog import LoadBalancerType, Location
from sandbox.hetzner.errors import HetznerError
from sandbox.hetzner.networks import Network
from sandbox.hetzner.project import Project, Resource
from sandbox.hetzner.servers import TRAFFIC_BYTES, Server


@dataclass
class Service:
    """What a load balancer listens for; `since`: the emulated unix second from which on it looks at targets."""

    protocol: str
    listen_port: int
    destination_port: int
    health_check: HealthCheck
    since: float

    @classmethod
    def of(cls, body: NewService, now: float) -> "Service":
        """Return a new service. Its health check looks at the destination port unless the body says otherwise."""
        check = body.health_check or HealthCheck(port=body.destination_port)
        return cls(body.protocol, body.listen_port, body.destination_port, check, now)

    def to_json(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            "protocol": self.protocol,
            "listen_port": self.listen_port,
            "destination_port": self.destination_port,
            "proxyprotocol": False,
            "health_check": self.health_check.model_dump(),
        }


@dataclass
class ServerTarget:
    """A server that gets connections, `since` an emulated unix second."""

    server: int
    use_private_ip: bool
    since: float


@dataclass
class LoadBalancer(Resource):
    """A load balancer. `ipv4` is its public address."""

    type: LoadBalancerType = field(kw_only=True)
    location: Location = field(kw_only=True)
    ipv4: str = field(kw_only=True)
    is_public: bool = field(kw_only=True, default=True)
    algorithm: str = field(kw_only=True, default="round_robin")
    services: list[Service] = field(kw_only=True, default_factory=list)
    targets: list[ServerTarget] = field(kw_only=True, default_factory=list)

    KIND = "load_balancer"

    def show(self, project: Project) -> dict[str, Any]:
        """Return it as the API shows it, with the present health of its targets."""
        networks = [one for one in project.all(Network) if self.id in one.addresses]
        return {
            **self.common(),
            "public_net": {
                "enabled": self.is_public,
                "ipv4": {"ip": self.ipv4, "dns_ptr": f"{self.name}."},
                "ipv6": {"ip": f"2001:db8:{self.id:x}::1", "dns_ptr": ""},
            },
            "private_net": [{"network": one.id, "ip": one.addresses[self.id]} for one in networks],
            "location": self.location.to_json(),
            "load_balancer_type": self.type.to_json(),
            "algorithm": {"type": self.algorithm},
            "services": [one.to_json() for one in self.services],
            "targets": [
                {
                    "type": "server",
                    "server": {"id": one.server},
                    "use_private_ip": one.use_private_ip,
                    "health_status": [
                        {"listen_port": service.listen_port, "status": self._health(project, one, service)}
                        for service in self.services
                    ],
                }
                for one in self.targets
            ],
            "included_traffic": TRAFFIC_BYTES,
            "outgoing_traffic": 0,
            "ingoing_traffic": 0,
        }

    def service(self, port: int) -> Service:
        """Return the service that listens on a port. Raises HetznerError."""
        found = next((one for one in self.services if one.listen_port == port), None)
        if found is None:
            raise HetznerError("not_found", f"service with listen port '{port}' not found")
        return found

    def address_of(self, project: Project, target: ServerTarget) -> str | None:
        """Return the address under which it reaches a target, None if there is none."""
        server = project.find(Server, target.server)
        if not target.use_private_ip:
            return server.ipv4(project)
        shared = (one for one in project.all(Network) if self.id in one.addresses)
        return next((one.addresses[server.id] for one in shared if server.id in one.addresses), None)

    def _health(self, project: Project, target: ServerTarget, service: Service) -> str:
        if project.now < max(target.since, service.since) + service.health_check.interval:
            return "unknown"
        server, address = project.find(Server, target.server), self.address_of(project, target)
        answers = (
            server.status == "running"
            and address is not None
            and project.machines.answers(server.id, ipaddress.IPv4Address(address), service.health_check.port)
        )
        return "healthy" if answers else "unhealthy"
