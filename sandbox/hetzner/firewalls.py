"""Firewalls. Applying and removing them takes a moment."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sandbox.hetzner.actions import Action
from sandbox.hetzner.bodies import ApplyTo, FirewallTarget, NewFirewall, RemoveFrom, Rule, Rules
from sandbox.hetzner.errors import HetznerError, invalid_field
from sandbox.hetzner.project import Project, Resource
from sandbox.hetzner.servers import Server

SECONDS = 2.0


@dataclass
class Firewall(Resource):
    """A firewall. `servers` are those that it protects."""

    rules: list[Rule] = field(default_factory=list)
    servers: set[int] = field(default_factory=set)

    KIND = "firewall"
    CAN_BE_PROTECTED = False

    def to_json(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            **self.common(),
            "rules": [rule.model_dump() for rule in self.rules],
            "applied_to": [{"type": "server", "server": {"id": number}} for number in sorted(self.servers)],
        }


def create(project: Project, body: NewFirewall) -> dict[str, Any]:
    """Make a firewall, and apply it."""
    one = Firewall(project.number(), body.name, body.labels, project.now, False, body.rules)
    servers = _servers(project, body.apply_to)
    project.add(one)
    actions = [project.begin("set_firewall_rules", [one], SECONDS), *(apply(project, one, each) for each in servers)]
    return {"firewall": one.to_json(), "actions": [action.to_json(project.now) for action in actions]}


def set_rules(project: Project, one: Firewall, body: Rules) -> dict[str, Any]:
    """Replace the rules."""
    one.rules = body.rules

    def effect() -> None:
        for number in sorted(one.servers):
            project.machines.update(project, project.find(Server, number))

    return {"actions": [project.begin("set_firewall_rules", [one], SECONDS, effect).to_json(project.now)]}


def apply_to_resources(project: Project, one: Firewall, body: ApplyTo) -> dict[str, Any]:
    """Apply the firewall to servers. Raises HetznerError if one has it."""
    servers = _servers(project, body.apply_to)
    if any(server.id in one.servers for server in servers):
        raise HetznerError("firewall_already_applied", "firewall is already applied to resource")
    actions = [apply(project, one, server) for server in servers]
    return {"actions": [action.to_json(project.now) for action in actions]}


def remove_from_resources(project: Project, one: Firewall, body: RemoveFrom) -> dict[str, Any]:
    """Remove the firewall from servers. Raises HetznerError if one lacks it."""
    servers = _servers(project, body.remove_from)
    if any(server.id not in one.servers for server in servers):
        raise HetznerError("firewall_resource_not_found", "firewall is not applied to resource")
    actions = [
        project.begin(
            "remove_firewall",
            [one, server],
            SECONDS,
            partial(_protect, project, one, server, False),
            is_free=True,
        )
        for server in servers
    ]
    return {"actions": [action.to_json(project.now) for action in actions]}


def apply(project: Project, one: Firewall, server: Server, after: Action | None = None) -> Action:
    """Apply a firewall to a server."""
    effect = partial(_protect, project, one, server, True)
    return project.begin("apply_firewall", [one, server], SECONDS, effect, after, is_free=True)


def _protect(project: Project, one: Firewall, server: Server, on: bool) -> None:
    (one.servers.add if on else one.servers.discard)(server.id)
    project.machines.update(project, server)


def confirm_unused(one: Firewall) -> None:
    """Raise HetznerError if the firewall is applied."""
    if one.servers:
        raise HetznerError("resource_in_use", "firewall is still applied to resources")


def _servers(project: Project, targets: list[FirewallTarget]) -> list[Server]:
    if any(target.server is None for target in targets):
        raise invalid_field("apply_to", "label selectors are not emulated; name servers")
    return [project.find(Server, target.server.id) for target in targets if target.server]
