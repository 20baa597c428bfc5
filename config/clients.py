"""The section `clients` of stack config."""

from typing import Literal

from pydantic import Field

from config.base import Section

Scope = Literal["provision", "read", "admin"]


class ClientConfig(Section):
    """A program or person that may ask the controller for instances. Its API key derives from a secret of the stack."""

    scopes: tuple[Scope, ...] = Field(
        ("provision", "read"),
        description="What the key allows: `provision` asks for instances and gives them back, `read` sees fleets, `admin` "
        "sees and ends the claims of others.",
    )
    max_instances: int = Field(1, alias="maxInstances", ge=0, le=500, description="Most instances at once.")
    max_ttl_minutes: float = Field(
        480, alias="maxTtlMinutes", gt=0, description="Longest time for which one request may ask, until it is renewed."
    )
    key_epoch: int = Field(0, alias="keyEpoch", ge=0, description="Counter; raising it renews this client's key.")
