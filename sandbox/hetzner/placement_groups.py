"""Placement groups: servers of one group never share a machine."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.hetzner.bodies import NewPlacementGroup
from sandbox.hetzner.errors import HetznerError
from sandbox.hetzner.project import Project, Resource

MOST_SERVERS = 10


@dataclass
class PlacementGroup(Resource):
    """A placement group and its servers."""

    servers: set[int] = field(default_factory=set)

    KIND = "placement_group"
    CAN_BE_PROTECTED = False

    def to_json(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {**self.common(), "type": "spread", "servers": sorted(self.servers)}

    def join(self, server: int) -> None:
        """Take a server in. Raises HetznerError if the group is full."""
        if len(self.servers) >= MOST_SERVERS:
            raise HetznerError(
                "placement_error", f"a placement group of type spread has at most {MOST_SERVERS} servers"
            )
        self.servers.add(server)


def create(project: Project, body: NewPlacementGroup) -> dict[str, Any]:
    """Make a placement group."""
    one = PlacementGroup(project.number(), body.name, body.labels, project.now)
    project.add(one)
    return {"placement_group": one.to_json(), "action": None}


def confirm_unused(one: PlacementGroup) -> None:
    """Raise HetznerError if servers are in the group."""
    if one.servers:
        raise HetznerError("resource_in_use", "placement group still has servers")
