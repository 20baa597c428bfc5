"""Faults of the emulated Hetzner API. The kind of a call is its verb and resource, or the action's name: create_server,
delete_volume, read, change_type, attach_to_network, change_load_balancer_type.
"""

from sandbox.faults.fault import Fault

_REFUSALS = (
    ("hetzner-rate-limited", "refuses a call with HTTP 429 rate_limit_exceeded."),
    ("hetzner-unavailable", "answers a call with HTTP 503 service_error, and has done nothing."),
    ("hetzner-bad-gateway", "answers a call with HTTP 502 and a page of the proxy in front of it."),
)
_CHANGES = (
    ("hetzner-locked", "refuses a change with HTTP 423 locked, as another action runs on the resource."),
    ("hetzner-conflict", "refuses a change with HTTP 409 conflict, and asks to try again."),
)
_CREATES = (
    "create_server",
    "create_volume",
    "create_load_balancer",
    "create_network",
    "create_primary_ip",
    "create_ssh_key",
)

HETZNER = (
    *(Fault(name, "hetzner", f"Hetzner's API {says}") for name, says in (*_REFUSALS, *_CHANGES)),
    Fault(
        "hetzner-token-readonly",
        "hetzner",
        "Hetzner's API refuses each change, as the token may only read: HTTP 403 token_readonly, until switched off.",
        lasts=True,
    ),
    Fault(
        "hetzner-sold-out",
        "hetzner",
        "Hetzner has no server of any type left, and its list says so, until switched off: HTTP 412 resource_unavailable.",
        ("create_server", "change_type"),
        lasts=True,
    ),
    Fault(
        "hetzner-quota",
        "hetzner",
        "Hetzner's project may not have one more: a create is refused with HTTP 403 resource_limit_exceeded.",
        (*_CREATES, "create_firewall", "create_placement_group"),
    ),
    Fault(
        "hetzner-action-fails",
        "hetzner",
        "An action of Hetzner's API ends in an error, without effect. --call names the action, such as start_server.",
    ),
    Fault(
        "hetzner-load-balancer-slow",
        "hetzner",
        "A new load balancer of Hetzner takes ten minutes to be made.",
        ("create_load_balancer",),
    ),
    Fault(
        "hetzner-lost-create-reply",
        "hetzner",
        "Hetzner's API makes the resource, and the connection drops before it answers.",
        (*_CREATES, "create_firewall", "create_placement_group"),
    ),
    Fault(
        "hetzner-lost-reply",
        "hetzner",
        "Hetzner's API does the work of a call, and the connection drops before it answers.",
    ),
)
