"""Plays the faults of the API that concern one call."""

from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.faults import FAULTS
from sandbox.hetzner.errors import HetznerError
from sandbox.hetzner.kinds import Collection
from sandbox.hetzner.project import Project, Resource

# Fault -> the code and message of its refusal.
ANY = {
    "hetzner-rate-limited": ("rate_limit_exceeded", "limit of requests reached"),
    "hetzner-unavailable": ("service_error", "the service is temporarily unavailable"),
}
CHANGES = {
    "hetzner-token-readonly": ("token_readonly", "token is only allowed to perform GET requests"),
    "hetzner-locked": ("locked", "resource is locked by another action"),
    "hetzner-conflict": ("conflict", "the resource has changed during the request, please retry"),
    "hetzner-quota": ("resource_limit_exceeded", "resource limit exceeded"),
    "hetzner-sold-out": ("resource_unavailable", "server type is currently unavailable"),
}
CUT_OFF = "hetzner-bad-gateway"
LOST = ("hetzner-lost-create-reply", "hetzner-lost-reply")
# Played at the start of an action.
BY_ACTIONS = {"hetzner-action-fails", "hetzner-load-balancer-slow"}
READ = "read"


@dataclass(frozen=True)
class Call:
    """One call: its kind, such as create_server or change_type, and the resources that it is about."""

    kind: str
    concerned: tuple[Resource, ...] = ()

    @classmethod
    def of(cls, project: Project, method: str, path: Sequence[str], collections: Sequence[Collection]) -> "Call":
        """Return what a request asks for."""
        collection = next((one for one in collections if one.plural == path[0]), None)
        number = int(path[1]) if len(path) > 1 and path[1].isdigit() else None
        found = project.resources.get(collection.singular, {}).get(number) if collection and number else None
        concerned = (found,) if found else ()
        if method == "GET" or collection is None:
            return cls(READ, concerned)
        if len(path) > 3:
            # Load balancers have an action of the same name, which no stock of servers concerns.
            renamed = path[3] == "change_type" and collection.singular != "server"
            return cls(f"change_{collection.singular}_type" if renamed else path[3], concerned)
        verb = {"POST": "create", "PUT": "update", "DELETE": "delete"}[method]
        return cls(f"{verb}_{collection.singular}", concerned)


def is_cut_off(project: Project, call: Call) -> bool:
    """Say whether the proxy in front of the API answers in its place."""
    return project.strikes(CUT_OFF, call.kind, *call.concerned)


def refuse(project: Project, call: Call) -> None:
    """Raise HetznerError if an armed fault refuses the call."""
    for name, (code, message) in (ANY if call.kind == READ else {**ANY, **CHANGES}).items():
        if _concerns(name, call) and project.strikes(name, call.kind, *call.concerned):
            raise HetznerError(code, message)


def is_lost(project: Project, call: Call) -> bool:
    """Say whether the connection drops before the answer to a call that was carried out."""
    return any(_concerns(name, call) and project.strikes(name, call.kind, *call.concerned) for name in LOST)


def _concerns(name: str, call: Call) -> bool:
    return call.kind in (FAULTS[name].calls or (call.kind,))
