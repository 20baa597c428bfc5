"""The market's calls about a contract besides its rent and its end."""

from providers.vast.answers import Accepted
from providers.vast.attached_keys import Ask


def start(ask: Ask, instance_id: int) -> None:
    """Ask for the start of an instance that is stopped. Raises VastError."""
    ask("PUT", f"/api/v0/instances/{instance_id}/", Accepted, {"state": "running"})
