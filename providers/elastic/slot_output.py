"""The secret output `slot` of a slot's stack: the address of its instance, its price, and the digest of its fleet."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError

from providers.elastic.applied import Part, UnreadableOutputError, describe_errors

NAME = "slot"  # of the output
DIGEST = "digest"  # of a plain output beside it, so that the engine's events tell it


class SshAddress(Part):
    """The address of the instance's SSH, and its host key."""

    host: str
    port: int = Field(ge=1, le=65535)
    host_key: str = Field(alias="hostKey")


class SlotOutput(Part):
    """The output. `usd_per_hour` is None if the market told no price. `digest` is that of the fleet at its last `up`."""

    name: str
    endpoint: str
    ssh: SshAddress | None = None
    instance_id: int = Field(alias="instanceId")
    usd_per_hour: float | None = Field(None, alias="usdPerHour")
    digest: str


def written(name: str, digest: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the output from the instance's outputs: endpoint, ssh, host_key, instance_id, charged, price."""
    host, _, port = str(found["ssh"] or "").rpartition(":")
    ssh = {"host": host, "port": int(port), "hostKey": found["host_key"]} if host and port.isdigit() else None
    price = found["charged"] if found["charged"] is not None else found["price"]
    return {
        "name": name,
        "endpoint": found["endpoint"],
        "ssh": ssh,
        "instanceId": found["instance_id"],
        "usdPerHour": price,
        "digest": digest,
    }


def parse(value: Any) -> SlotOutput:
    """Read the output. Raises UnreadableOutputError."""
    try:
        return SlotOutput.model_validate(value)
    except ValidationError as error:
        raise UnreadableOutputError(f"the output `{NAME}`: {describe_errors(error)}") from None
