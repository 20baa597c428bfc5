"""What tests of the emulated Hetzner share: tokens, a key, and a server that is made and waited for."""

from typing import Any

from hcloud import Client
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.server_types import ServerType

OWN, READER = "w" * 64, "r" * 64
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEvYm0Vw0b1k1c2m8Qb5m0v6WlYb0b9v0Z2c0w5l8b7R try"


def made(client: Client, **more: Any) -> Any:
    """Make a server and wait for all of it."""
    arguments = {"server_type": ServerType(name="cx33"), "image": Image(name="debian-12"), **more}
    answer = client.servers.create(name="node-0", location=Location(name="fsn1"), **arguments)
    for action in (answer.action, *answer.next_actions):
        action.wait_until_finished()
    answer.server.reload()
    return answer.server
