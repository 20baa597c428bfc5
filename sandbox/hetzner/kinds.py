"""The kinds of resources that the API has: their place in URLs, and their calls."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.hetzner import (
    balancer_bodies,
    balancer_calls,
    bodies,
    firewalls,
    networks,
    placement_groups,
    primary_ips,
    server_calls,
    ssh_keys,
    volumes,
)
from sandbox.hetzner.firewalls import Firewall
from sandbox.hetzner.load_balancers import LoadBalancer
from sandbox.hetzner.networks import Network
from sandbox.hetzner.placement_groups import PlacementGroup
from sandbox.hetzner.primary_ips import PrimaryIp
from sandbox.hetzner.project import Project, Resource
from sandbox.hetzner.servers import Server
from sandbox.hetzner.ssh_keys import SshKey
from sandbox.hetzner.volumes import Volume

Act = Callable[[Project, Any, Any], dict[str, Any]]


def _drop(project: Project, one: Resource) -> dict[str, Any]:
    project.drop(one)
    return {}


@dataclass(frozen=True)
class Collection:
    """One kind of resource: its place in URLs, its calls. `actions`: the body's model and the function, by name."""

    plural: str
    kind: type[Resource]
    body: type[bodies.Body]
    create: Callable[[Project, Any], dict[str, Any]]
    actions: dict[str, tuple[type[bodies.Body] | None, Act]]
    confirm_unused: Callable[[Any], None] = lambda _one: None
    delete: Callable[[Project, Any], dict[str, Any]] = _drop

    @property
    def singular(self) -> str:
        """The key of one resource in an answer."""
        return self.kind.KIND


def _power(command: str) -> tuple[None, Act]:
    return None, lambda project, one, _body: server_calls.power(project, one, command)


COLLECTIONS = (
    Collection("ssh_keys", SshKey, bodies.NewSshKey, ssh_keys.create, {}),
    Collection(
        "networks",
        Network,
        bodies.NewNetwork,
        networks.create,
        {
            "add_subnet": (bodies.Subnet, networks.add_subnet),
            "delete_subnet": (bodies.Range, networks.delete_subnet),
            "change_ip_range": (bodies.Range, networks.change_ip_range),
        },
        networks.confirm_unused,
    ),
    Collection(
        "firewalls",
        Firewall,
        bodies.NewFirewall,
        firewalls.create,
        {
            "set_rules": (bodies.Rules, firewalls.set_rules),
            "apply_to_resources": (bodies.ApplyTo, firewalls.apply_to_resources),
            "remove_from_resources": (bodies.RemoveFrom, firewalls.remove_from_resources),
        },
        firewalls.confirm_unused,
    ),
    Collection(
        "placement_groups",
        PlacementGroup,
        bodies.NewPlacementGroup,
        placement_groups.create,
        {},
        placement_groups.confirm_unused,
    ),
    Collection(
        "servers",
        Server,
        bodies.NewServer,
        server_calls.create,
        {
            **{command: _power(command) for command in ("poweron", "poweroff", "shutdown", "reboot", "reset")},
            "change_type": (bodies.NewType, server_calls.change_type),
            "rebuild": (bodies.Rebuild, server_calls.rebuild),
            "attach_to_network": (bodies.Attachment, server_calls.attach),
            "detach_from_network": (bodies.Attachment, server_calls.detach),
        },
        delete=server_calls.delete,
    ),
    Collection(
        "volumes",
        Volume,
        bodies.NewVolume,
        volumes.create,
        {
            "attach": (bodies.Attach, volumes.attach),
            "detach": (None, lambda project, one, _body: volumes.detach(project, one)),
            "resize": (bodies.Resize, volumes.resize),
        },
        volumes.confirm_unused,
        volumes.delete,
    ),
    Collection(
        "primary_ips",
        PrimaryIp,
        bodies.NewPrimaryIp,
        primary_ips.create,
        {
            "assign": (bodies.Assignment, primary_ips.assign),
            "unassign": (None, lambda project, one, _: primary_ips.unassign(project, one)),
        },
        primary_ips.confirm_unused,
    ),
    Collection(
        "load_balancers",
        LoadBalancer,
        balancer_bodies.NewLoadBalancer,
        balancer_calls.create,
        {
            "add_service": (balancer_bodies.NewService, balancer_calls.add_service),
            "update_service": (balancer_bodies.ServiceChange, balancer_calls.update_service),
            "delete_service": (balancer_bodies.ListenPort, balancer_calls.delete_service),
            "add_target": (balancer_bodies.Target, balancer_calls.add_target),
            "remove_target": (balancer_bodies.Target, balancer_calls.remove_target),
            "attach_to_network": (bodies.Attachment, balancer_calls.attach),
            "detach_from_network": (bodies.Attachment, balancer_calls.detach),
            "change_type": (balancer_bodies.NewBalancerType, balancer_calls.change_type),
            "change_algorithm": (balancer_bodies.Algorithm, balancer_calls.change_algorithm),
            "enable_public_interface": (
                None,
                lambda project, one, _: balancer_calls.public_interface(project, one, True),
            ),
            "disable_public_interface": (
                None,
                lambda project, one, _: balancer_calls.public_interface(project, one, False),
            ),
        },
        delete=balancer_calls.delete,
    ),
)
