"""The market's calls about the SSH keys of one instance."""

from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, Json

from providers.vast.api import errors
from providers.vast.api.responses import DestroyResponse

Answer = TypeVar("Answer", bound=BaseModel)

ALREADY = "already"  # "SSH key is already associated with instance": a 400, or a 200 with success false
GONE = "no_such_ssh_key"


class AttachedKey(BaseModel):
    """One SSH key of an instance; `public_key` is its OpenSSH line."""

    model_config = ConfigDict(extra="ignore")

    id: int
    public_key: str | None = None


class AttachedKeys(BaseModel):
    """The list of an instance's keys: a plain list, or JSON text inside the JSON."""

    ssh_keys: Json[list[AttachedKey]] | list[AttachedKey] = Field(default_factory=list)


class Ask(Protocol):
    """A function that sends a call to the market and validates the answer."""

    def __call__(self, method: str, path: str, model: type[Answer], body: dict[str, Any] | None, /) -> Answer:
        """Return the answer as `model`. Raises VastError."""


def attach(ask: Ask, instance_id: int, public_key: str) -> None:
    """Add a public key to an instance. Raises VastError."""
    try:
        ask("POST", _path(instance_id), DestroyResponse, {"ssh_key": public_key})
    except errors.RequestInvalid as error:
        if ALREADY not in str(error).lower():
            raise


def detach(ask: Ask, instance_id: int, public_key: str) -> None:
    """Remove a public key from an instance; the comment after the key is ignored. Raises VastError."""
    found = ask("GET", _path(instance_id), AttachedKeys, None).ssh_keys
    for key in found:
        if (key.public_key or "").split()[:2] != public_key.split()[:2]:
            continue
        try:
            ask("DELETE", f"{_path(instance_id)}{key.id}/", DestroyResponse, {})
        except errors.RequestInvalid as error:
            if GONE not in str(error):
                raise


def _path(instance_id: int) -> str:
    return f"/api/v0/instances/{instance_id}/ssh/"


class KeyRing(Protocol):
    """The SSH key calls that renting needs. `client.VastClient` implements them."""

    def attach_key(self, instance_id: int, public_key: str) -> None:
        """Add an OpenSSH public key to an instance. Adding a key twice is no error."""

    def detach_key(self, instance_id: int, public_key: str) -> None:
        """Remove a public key from an instance. Removing an unknown key is no error."""
