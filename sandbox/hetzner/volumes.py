"""Volumes: disks that outlive their server."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sandbox.hetzner.actions import Action
from sandbox.hetzner.bodies import Attach, NewVolume, Resize
from sandbox.hetzner.catalog import LOCATIONS, Location
from sandbox.hetzner.errors import HetznerError, invalid_field
from sandbox.hetzner.project import Project, Resource
from sandbox.hetzner.servers import Server

SECONDS = 2.0


@dataclass
class Volume(Resource):
    """A volume; `size` in GB. `server` is the id of the server that has it, None without one."""

    size: int = field(kw_only=True)
    location: Location = field(kw_only=True)
    format: str | None = field(kw_only=True, default=None)
    server: int | None = field(kw_only=True, default=None)

    KIND = "volume"

    def to_json(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            **self.common(),
            "size": self.size,
            "server": self.server,
            "location": self.location.to_json(),
            "linux_device": f"/dev/disk/by-id/scsi-0HC_Volume_{self.id}",
            "status": "available",
            "format": self.format,
        }

    def attach(self, project: Project, server: Server, after: Action | None = None) -> Action:
        """Attach it to a server of its location. Raises HetznerError."""
        if self.server is not None:
            raise HetznerError("volume_already_attached", "volume is already attached to a server")
        if server.location != self.location:
            raise invalid_field("server", "server and volume must be in the same location")
        effect = partial(project.machines.update, project, server)
        action = project.begin("attach_volume", [self, server], SECONDS, effect, after, is_free=True)
        self.server = server.id
        server.on_delete.append(lambda: self._let_go(server))
        return action

    def _let_go(self, server: Server) -> None:
        if self.server == server.id:
            self.server = None


def create(project: Project, body: NewVolume) -> dict[str, Any]:
    """Make a volume, and attach it. Raises HetznerError."""
    server = project.find(Server, body.server) if body.server else None
    named = next((one for one in LOCATIONS if str(body.location) in (one.name, str(one.id))), None)
    location = server.location if server else named
    if location is None:
        raise invalid_field("location", "a volume needs a known location, or a server")
    one = Volume(
        project.number(), body.name, body.labels, project.now, size=body.size, location=location, format=body.format
    )
    project.add(one)
    first = project.begin("create_volume", [one], SECONDS)
    following = [one.attach(project, server, first)] if server else []
    return {
        "volume": one.to_json(),
        "action": first.to_json(project.now),
        "next_actions": [action.to_json(project.now) for action in following],
    }


def attach(project: Project, one: Volume, body: Attach) -> dict[str, Any]:
    """Attach a volume."""
    return {"action": one.attach(project, project.find(Server, body.server)).to_json(project.now)}


def detach(project: Project, one: Volume) -> dict[str, Any]:
    """Detach a volume. Raises HetznerError if it is not attached."""
    if one.server is None:
        raise HetznerError("invalid_input", "volume is not attached to a server")
    server = project.find(Server, one.server)

    def effect() -> None:
        one.server = None
        project.machines.update(project, server)

    return {"action": project.begin("detach_volume", [one, server], SECONDS, effect, is_free=True).to_json(project.now)}


def resize(project: Project, one: Volume, body: Resize) -> dict[str, Any]:
    """Grow a volume. Raises HetznerError for a size that is not larger."""
    if body.size <= one.size:
        raise invalid_field("size", "must be larger than the current size")

    def effect() -> None:
        one.size = body.size

    return {"action": project.begin("resize_volume", [one], SECONDS, effect).to_json(project.now)}


def delete(project: Project, one: Volume) -> dict[str, Any]:
    """Remove a volume and its content."""
    project.drop(one)
    project.machines.forget_volume(one.id)
    return {}


def confirm_unused(one: Volume) -> None:
    """Raise HetznerError if the volume is attached."""
    if one.server is not None:
        raise HetznerError("resource_in_use", "volume is still attached to a server")
