"""The API's calls on servers: create, power, type, networks, delete."""

import secrets
from functools import partial
from typing import Any

from sandbox.hetzner import firewalls, primary_ips
from sandbox.hetzner.actions import Action
from sandbox.hetzner.bodies import Attachment, NewServer, NewType, PublicNet, Rebuild
from sandbox.hetzner.catalog import IMAGES, LOCATIONS, Image, Location, ServerType, named
from sandbox.hetzner.errors import HetznerError, invalid_field
from sandbox.hetzner.firewalls import Firewall
from sandbox.hetzner.machines import MachinesError
from sandbox.hetzner.networks import Network
from sandbox.hetzner.placement_groups import PlacementGroup
from sandbox.hetzner.primary_ips import PrimaryIp
from sandbox.hetzner.project import Project
from sandbox.hetzner.servers import Server
from sandbox.hetzner.ssh_keys import SshKey
from sandbox.hetzner.volumes import Volume

# Seconds of the actions on a small server, as operators report them; the API states none.
CREATE, START, STOP, ATTACH, CHANGE_TYPE, DELETE = 12.0, 4.0, 5.0, 3.0, 45.0, 5.0


def create(project: Project, body: NewServer) -> dict[str, Any]:
    """Make a server: create, then attach and start, each as an action of its own. Raises HetznerError."""
    kind = type_of(project, body.server_type)
    place = LOCATIONS[0] if body.location is None else named("location", LOCATIONS, body.location)
    image = _image(body.image, kind)
    if place.name in kind.sold_out:
        raise unavailable(kind, place)
    keys = tuple(named("SSH key", project.all(SshKey), each).public_key for each in body.ssh_keys)
    networks = [project.find(Network, each) for each in body.networks]
    walls = [project.find(Firewall, each.firewall) for each in body.firewalls]
    volumes = [project.find(Volume, each) for each in body.volumes]
    group = project.find(PlacementGroup, body.placement_group) if body.placement_group else None
    number = project.number()
    one = Server(
        number,
        body.name,
        body.labels,
        project.now,
        server_type=kind,
        image=image,
        location=place,
        ipv6=f"2001:db8:{number:x}::/64" if body.public_net.enable_ipv6 else None,
        user_data=body.user_data,
        ssh_keys=keys,
    )
    address = _address(project, one, body.public_net) if body.public_net.enable_ipv4 else None
    project.add(one)
    if address:
        project.resources.setdefault(PrimaryIp.KIND, {})[address.id] = address
        address.give(project, one)
    if group:
        group.join(one.id)
        one.on_delete.append(lambda: group.servers.discard(one.id))
    first = project.begin("create_server", [one], CREATE, partial(_become, project, one, "off"))
    steps: list[Action] = []
    for network in networks:
        network.attach(one.id, None)
        one.on_delete.append(partial(network.release, one.id))
        joined = partial(project.machines.update, project, one)
        steps.append(project.begin("attach_to_network", [one, network], ATTACH, joined, _last(first, steps)))
    for volume in volumes:
        steps.append(volume.attach(project, one, _last(first, steps)))
    for wall in walls:
        wall.servers.add(one.id)
        one.on_delete.append(partial(wall.servers.discard, one.id))
        steps.append(firewalls.apply(project, wall, one, _last(first, steps)))
    if body.start_after_create:
        steps.append(
            project.begin("start_server", [one], START, partial(_become, project, one, "running"), _last(first, steps))
        )
    return {
        "server": one.show(project),
        "action": first.to_json(project.now),
        "next_actions": [step.to_json(project.now) for step in steps],
        "root_password": None if keys else secrets.token_urlsafe(12),
    }


def power(project: Project, one: Server, command: str) -> dict[str, Any]:
    """Turn a server on or off, or restart it."""
    after = {"poweron": "running", "reboot": "running", "reset": "running"}.get(command, "off")
    names = {"poweron": "start_server", "poweroff": "stop_server", "shutdown": "shutdown_server"}

    def effect() -> None:
        if command in ("reboot", "reset") and one.status == "running":
            project.machines.restart(one)
        _become(project, one, after)

    seconds = START if after == "running" else STOP
    action = project.begin(names.get(command, f"{command}_server"), [one], seconds, effect)
    return {"action": action.to_json(project.now)}


def rebuild(project: Project, one: Server, body: Rebuild) -> dict[str, Any]:
    """Write an image over a server's disk; cloud-init runs again with the old user data. Raises HetznerError."""
    if one.is_protected:
        raise HetznerError("protected", "server rebuild is protected")
    image = _image(body.image, one.server_type)

    def effect() -> None:
        one.image = image
        project.machines.rebuild(one)
        _become(project, one, "running")

    action = project.begin("rebuild_server", [one], CREATE, effect)
    return {"action": action.to_json(project.now), "root_password": None if one.ssh_keys else secrets.token_urlsafe(12)}


def change_type(project: Project, one: Server, body: NewType) -> dict[str, Any]:
    """Change the type of a server that is off; it stays off. Raises HetznerError."""
    kind = type_of(project, body.server_type)
    if one.status != "off":
        raise HetznerError("server_not_stopped", "server must be stopped before changing its type")
    if one.location.name in kind.sold_out:
        raise unavailable(kind, one.location)
    if kind.architecture != one.server_type.architecture:
        raise invalid_field("server_type", "has another architecture")

    def effect() -> None:
        one.server_type = kind

    return {"action": project.begin("change_server_type", [one], CHANGE_TYPE, effect).to_json(project.now)}


def attach(project: Project, one: Server, body: Attachment) -> dict[str, Any]:
    """Attach a server to a network."""
    network = project.find(Network, body.network)
    action = project.begin("attach_to_network", [one, network], ATTACH, partial(project.machines.update, project, one))
    network.attach(one.id, body.ip)
    one.on_delete.append(partial(network.release, one.id))
    return {"action": action.to_json(project.now)}


def detach(project: Project, one: Server, body: Attachment) -> dict[str, Any]:
    """Take a server out of a network."""
    network = project.find(Network, body.network)
    if one.id not in network.addresses:
        raise HetznerError("not_found", "server is not attached to network")

    def effect() -> None:
        network.release(one.id)
        project.machines.update(project, one)

    action = project.begin("detach_from_network", [one, network], ATTACH, effect)
    return {"action": action.to_json(project.now)}


def delete(project: Project, one: Server) -> dict[str, Any]:
    """End a server. Its volumes stay."""

    def effect() -> None:
        for let_go in one.on_delete:
            let_go()
        project.machines.delete(one.id)
        project.drop(one)

    action = project.begin("delete_server", [one], DELETE, effect)
    one.status = "deleting"
    return {"action": action.to_json(project.now)}


def type_of(project: Project, name: str | int) -> ServerType:
    """Return a server type by name or id. Raises HetznerError."""
    return named("server type", project.catalog.server_types, name)


def unavailable(kind: ServerType, place: Location) -> HetznerError:
    """Return the error of a server type that is sold out."""
    return HetznerError("resource_unavailable", f"server type {kind.name} is currently unavailable in {place.name}")


def _image(name: str | int, kind: ServerType) -> Image:
    found = named("image", IMAGES, name)
    if found.architecture != kind.architecture:
        raise invalid_field("image", "is for another architecture")
    return found


def _address(project: Project, one: Server, wanted: PublicNet) -> PrimaryIp:
    """Return the address that a new server gets: the one that the call names, or one that ends with it."""
    if wanted.ipv4 is None:
        return primary_ips.new(project, f"primary_ip-{one.id}", one.location, auto_delete=True)
    found = project.find(PrimaryIp, wanted.ipv4)
    if found.server is not None:
        raise HetznerError("primary_ip_assigned", "primary IP is already assigned to a server")
    if found.location != one.location:
        raise HetznerError("primary_ip_datacenter_mismatch", "primary IP is in another location than the server")
    return found


def _last(first: Action, steps: list[Action]) -> Action:
    return steps[-1] if steps else first


def _become(project: Project, one: Server, status: str) -> None:
    before, one.status = one.status, status
    try:
        project.machines.update(project, one)
    except MachinesError:
        one.status = before
        raise
