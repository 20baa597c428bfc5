"""Errors of the Hetzner API: code, HTTP status, message, details. Clients act by the code alone.

Codes are those of the official clients hcloud-go 2.36 and hcloud-python 2.27. Which HTTP status goes with which code is
partly from memory.
"""

from collections.abc import Mapping
from typing import Any

STATUS = {
    "unauthorized": 401,
    "forbidden": 403,
    "token_readonly": 403,
    "resource_limit_exceeded": 403,
    "not_found": 404,
    "uniqueness_error": 409,
    "conflict": 409,
    "resource_in_use": 409,
    "deprecated_api_endpoint": 410,
    "resource_unavailable": 412,
    "placement_error": 412,
    "invalid_input": 422,
    "server_not_stopped": 422,
    "networks_overlap": 422,
    "ip_not_available": 422,
    "no_subnet_available": 422,
    "server_already_attached": 422,
    "volume_already_attached": 422,
    "firewall_already_applied": 422,
    "firewall_resource_not_found": 422,
    "target_already_defined": 422,
    "protected": 422,
    "server_not_attached_to_network": 422,
    "source_port_already_used": 422,
    "invalid_load_balancer_type": 422,
    "load_balancer_already_attached": 422,
    "load_balancer_not_attached_to_network": 422,
    "missing_ipv4": 422,
    "primary_ip_assigned": 422,
    "primary_ip_datacenter_mismatch": 422,
    "server_has_ipv4": 422,
    "locked": 423,
    "rate_limit_exceeded": 429,
    "not_emulated": 501,
    "service_error": 503,
}


class HetznerError(Exception):
    """A call that the API refuses."""

    def __init__(self, code: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.details = code, message, dict(details or {})

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS[self.code]

    def to_json(self) -> dict[str, Any]:
        """Return the answer's body."""
        return {"error": {"code": self.code, "message": self.message, "details": self.details}}


def invalid_field(name: str, message: str) -> HetznerError:
    """Return the error of one field of a body."""
    return HetznerError(
        "invalid_input",
        f"invalid input in field '{name}'",
        {"fields": [{"name": name, "messages": [message]}]},
    )


def not_found(kind: str, number: object) -> HetznerError:
    """Return the error of a resource that is not there."""
    return HetznerError("not_found", f"{kind} with ID '{number}' not found")
