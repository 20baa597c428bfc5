"""The API's calls on load balancers: create, services, targets, networks, type."""

from functools import partial
from typing import Any

from sandbox.hetzner.balancer_bodies import (
    Algorithm,
    ListenPort,
    NewBalancerType,
    NewLoadBalancer,
    NewService,
    ServiceChange,
    Target,
)
from sandbox.hetzner.bodies import Attachment
from sandbox.hetzner.catalog import LOAD_BALANCER_TYPES, LOCATIONS, ZONE, LoadBalancerType, named
from sandbox.hetzner.errors import HetznerError, invalid_field
from sandbox.hetzner.load_balancers import LoadBalancer, ServerTarget, Service
from sandbox.hetzner.networks import Network
from sandbox.hetzner.project import Project
from sandbox.hetzner.servers import Server

# Seconds of the actions; the API states none.
CREATE, CHANGE, ATTACH = 6.0, 2.0, 3.0
SLOW_SECONDS = 600.0  # of the fault


def create(project: Project, body: NewLoadBalancer) -> dict[str, Any]:
    """Make a load balancer with its services and targets. Raises HetznerError."""
    kind = _type(body.load_balancer_type)
    if body.location is None and body.network_zone != ZONE:
        raise invalid_field("location", f"a load balancer needs a location, or the network zone {ZONE}")
    place = LOCATIONS[0] if body.location is None else named("location", LOCATIONS, body.location)
    network = project.find(Network, body.network) if body.network else None
    number = project.number()
    one = LoadBalancer(
        number,
        body.name,
        body.labels,
        project.now,
        type=kind,
        location=place,
        ipv4=project.machines.public_address(number),
        is_public=body.public_interface,
        algorithm=body.algorithm.type,
    )
    for service in body.services:
        _serve(project, one, service)
    project.confirm_name(LoadBalancer, one.name, one.id)
    if network:
        _join(one, network, None)
    try:
        for target in body.targets:
            _aim(project, one, target)
        project.add(one)
    except HetznerError:
        _leave(project, one)
        raise
    seconds = SLOW_SECONDS if project.strikes("hetzner-load-balancer-slow", "create_load_balancer", one) else CREATE
    action = project.begin("create_load_balancer", [one], seconds, lambda: project.machines.balance(project, one))
    return {"load_balancer": one.show(project), "action": action.to_json(project.now)}


def delete(project: Project, one: LoadBalancer) -> dict[str, Any]:
    """End a load balancer: it is gone at once, and the action follows, as older clients know of none."""
    project.machines.end_balance(one.id)
    _leave(project, one)
    project.drop(one)
    return {"action": project.begin("delete_load_balancer", [one], CHANGE).to_json(project.now)}


def add_service(project: Project, one: LoadBalancer, body: NewService) -> dict[str, Any]:
    """Listen for one more thing. Raises HetznerError if its port is taken."""
    _serve(project, one, body)
    return _changed(project, "add_service", one)


def update_service(project: Project, one: LoadBalancer, body: ServiceChange) -> dict[str, Any]:
    """Change a service. Raises HetznerError."""
    service = one.service(body.listen_port)
    _demand_plain(body)
    if body.destination_port is not None:
        service.destination_port = body.destination_port
    if body.health_check is not None:
        service.health_check = service.health_check.model_copy(update=body.health_check.model_dump(exclude_none=True))
    service.since = project.now
    return _changed(project, "update_service", one)


def delete_service(project: Project, one: LoadBalancer, body: ListenPort) -> dict[str, Any]:
    """Listen no more on a port. Raises HetznerError."""
    one.services.remove(one.service(body.listen_port))
    return _changed(project, "delete_service", one)


def add_target(project: Project, one: LoadBalancer, body: Target) -> dict[str, Any]:
    """Pass connections to one more server. Raises HetznerError."""
    _aim(project, one, body)
    return _changed(project, "add_target", one)


def remove_target(project: Project, one: LoadBalancer, body: Target) -> dict[str, Any]:
    """Pass no more connections to a server. Raises HetznerError."""
    server = _server(project, body)
    found = next((target for target in one.targets if target.server == server.id), None)
    if found is None:
        raise HetznerError("not_found", "load balancer target not found")
    one.targets.remove(found)
    return _changed(project, "remove_target", one)


def attach(project: Project, one: LoadBalancer, body: Attachment) -> dict[str, Any]:
    """Attach it to its one network. Raises HetznerError."""
    if any(one.id in network.addresses for network in project.all(Network)):
        raise HetznerError("load_balancer_already_attached", "load balancer is already attached to a network")
    _join(one, project.find(Network, body.network), body.ip)
    return _changed(project, "attach_to_network", one, ATTACH)


def detach(project: Project, one: LoadBalancer, body: Attachment) -> dict[str, Any]:
    """Take it out of its network. Raises HetznerError if a target is reached over it."""
    network = project.find(Network, body.network)
    if one.id not in network.addresses:
        raise HetznerError("load_balancer_not_attached_to_network", "load balancer is not attached to the network")
    if any(target.use_private_ip for target in one.targets):
        raise HetznerError("resource_in_use", "load balancer has targets that use the private network")
    network.release(one.id)
    return _changed(project, "detach_from_network", one, ATTACH)


def change_type(project: Project, one: LoadBalancer, body: NewBalancerType) -> dict[str, Any]:
    """Change its type. Raises HetznerError if it has more services or targets than the new type may have."""
    kind = _type(body.load_balancer_type)
    if len(one.services) > kind.services or len(one.targets) > kind.targets:
        raise HetznerError("invalid_load_balancer_type", f"{kind.name} may have fewer services or targets")

    def effect() -> None:
        one.type = kind

    return {"action": project.begin("change_type", [one], CHANGE, effect).to_json(project.now)}


def change_algorithm(project: Project, one: LoadBalancer, body: Algorithm) -> dict[str, Any]:
    """Share connections out in another way."""
    one.algorithm = body.type
    return _changed(project, "change_algorithm", one)


def public_interface(project: Project, one: LoadBalancer, on: bool) -> dict[str, Any]:
    """Switch its public addresses on or off."""
    one.is_public = on
    return _changed(project, "enable_public_interface" if on else "disable_public_interface", one)


def _changed(project: Project, command: str, one: LoadBalancer, seconds: float = CHANGE) -> dict[str, Any]:
    effect = partial(project.machines.balance, project, one)
    return {"action": project.begin(command, [one], seconds, effect).to_json(project.now)}


def _serve(project: Project, one: LoadBalancer, body: NewService) -> None:
    _demand_plain(body)
    if any(service.listen_port == body.listen_port for service in one.services):
        raise HetznerError("source_port_already_used", f"listen port {body.listen_port} is already in use")
    if len(one.services) >= one.type.services:
        raise HetznerError("resource_limit_exceeded", f"{one.type.name} may have {one.type.services} services")
    one.services.append(Service.of(body, project.now))


def _demand_plain(body: NewService | ServiceChange) -> None:
    if body.protocol not in (None, "tcp") or body.proxyprotocol:
        raise HetznerError("not_emulated", "services other than plain TCP are not emulated")


def _aim(project: Project, one: LoadBalancer, body: Target) -> None:
    server = _server(project, body)
    if any(target.server == server.id for target in one.targets):
        raise HetznerError("target_already_defined", "load balancer target is already defined")
    if len(one.targets) >= one.type.targets:
        raise HetznerError("resource_limit_exceeded", f"{one.type.name} may have {one.type.targets} targets")
    target = ServerTarget(server.id, body.use_private_ip, project.now)
    if body.use_private_ip and not any(one.id in network.addresses for network in project.all(Network)):
        raise HetznerError("load_balancer_not_attached_to_network", "load balancer is not attached to a network")
    if one.address_of(project, target) is None:
        if body.use_private_ip:
            raise HetznerError("server_not_attached_to_network", "server is not in the load balancer's network")
        raise HetznerError("missing_ipv4", "server has no public IPv4 address")
    one.targets.append(target)
    server.on_delete.append(partial(_forget, one, server.id))


def _server(project: Project, body: Target) -> Server:
    if body.type != "server":
        raise HetznerError("not_emulated", f"targets of type {body.type} are not emulated; servers are")
    if body.server is None:
        raise invalid_field("server", "is missing")
    return project.find(Server, body.server.id)


def _forget(one: LoadBalancer, server: int) -> None:
    one.targets = [target for target in one.targets if target.server != server]


def _join(one: LoadBalancer, network: Network, ip: str | None) -> None:
    network.attach(one.id, ip)
    network.load_balancers.add(one.id)


def _leave(project: Project, one: LoadBalancer) -> None:
    for network in project.all(Network):
        network.release(one.id)


def _type(name: str | int) -> LoadBalancerType:
    return named("load balancer type", LOAD_BALANCER_TYPES, name)
