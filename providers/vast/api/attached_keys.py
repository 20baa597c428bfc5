"""The market's calls about the SSH keys of one instance, by whatever asks it."""

from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, Json

from providers.vast.api import errors
from providers.vast.api.responses import DestroyResponse

Answer = TypeVar("Answer", bound=BaseModel)

ALREADY = "already"  # "SSH key is already associated with instance": HTTP 200 that is no success, or 400
GONE = "no_such_ssh_key"


class AttachedKey(BaseModel):
    """One key of an instance; `public_key` is its OpenSSH line."""

    model_config = ConfigDict(extra="ignore")

    id: int
    public_key: str | None = None


class AttachedKeys(BaseModel):
    """Of the list: JSON in a text inside of JSON, or a plain list."""

    ssh_keys: Json[list[AttachedKey]] | list[AttachedKey] = Field(default_factory=list)


class Ask(Protocol):
    """What asks the market and validates the answer."""

    def __call__(self, method: str, path: str, model: type[Answer], body: dict[str, Any] | None, /) -> Answer:
        """Return the answer as `model`. Raises VastError."""


def attach(ask: Ask, instance_id: int, public_key: str) -> None:
    """Have an instance let a key in. Raises VastError."""
    try:
        ask("POST", _path(instance_id), DestroyResponse, {"ssh_key": public_key})
    except errors.RequestInvalid as error:
        if ALREADY not in str(error).lower():
            raise


def detach(ask: Ask, instance_id: int, public_key: str) -> None:
    """Have an instance let a key in no more; the comment behind the key does not count. Raises VastError."""
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
    """The calls about SSH keys that renting needs; `client.VastClient` has them."""

    def attach_key(self, instance_id: int, public_key: str) -> None:
        """Have an instance let an OpenSSH public key in. One that it lets in already is none too many."""

    def detach_key(self, instance_id: int, public_key: str) -> None:
        """Have an instance let a public key in no more. One that it does not know is gone already."""
