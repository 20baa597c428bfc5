"""The bodies of requests and answers."""

import datetime as dt
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Minutes = Annotated[float, Field(gt=0, le=525_600, allow_inf_nan=False)]


class ProvisionRequest(BaseModel):
    """What to provide, and for how long."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"model": "llama-3.1-8b", "gpu_type": "rtx4090"}]},
    )

    model: Name = Field(description="A model of an elastic fleet, in any spelling.")
    gpu_type: Name | None = Field(None, description="A GPU in any spelling, or a family of them. Default: any.")
    ttl_minutes: Minutes | None = Field(
        None, description="For how long; the claim ends then unless it is renewed. Default: 60, or the client's most."
    )
    count: int = Field(1, ge=1, le=500, strict=True, description="How many instances.")


class RenewRequest(BaseModel):
    """For how much longer, from now."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ttl_minutes: Minutes | None = Field(None, description="From now. Default: 60, or the client's most.")


class Phase(BaseModel):
    """One step on the way of an instance."""

    at: dt.datetime
    instance: str = Field(description="Name of the instance.")
    phase: str
    says: tuple[str, ...] = ()


class Instance(BaseModel):
    """One instance of a claim."""

    name: str
    state: str
    endpoint: str | None = Field(description="Base URL; null until the instance serves.")
    token: str | None = Field(None, description="Bearer token for the endpoint; only the claim's owner gets it.")
    usd_per_hour: float | None = None


class ClaimAnswer(BaseModel):
    """A claim and how far it is."""

    id: str
    status: str = Field(description="`provisioning`, `ready` or `ended`.")
    endpoint: str | None = Field(description="Base URL of the first instance that serves.")
    expires_at: dt.datetime
    token: str | None = Field(None, description="Bearer token for `endpoint`; only the claim's owner gets it.")
    model: str
    fleet: str
    count: int
    client: str
    created_at: dt.datetime
    ended_at: dt.datetime | None = None
    ended_because: str | None = Field(None, description="`given back` or `expired`.")
    instances: tuple[Instance, ...] = ()
    usd_per_hour: float | None = Field(None, description="Of all instances; null until each has a price.")
    ceiling_usd_per_hour: float | None = Field(None, description="What all instances cost at most.")
    seconds_to_expect: float | None = Field(None, description="Until all serve, by earlier starts; null if unknown.")
    waits_for: tuple[str, ...] = Field((), description="Why the fleet has the count that it has.")
    phases: tuple[Phase, ...] = ()


class FleetAnswer(BaseModel):
    """An elastic fleet."""

    name: str
    model: str
    gpus: tuple[str, ...]
    min: int
    max: int
    ceiling_usd_per_hour: float
    claimed: int = Field(description="Instances that live claims ask for.")
    slots: dict[str, int] = Field(description="Count of slots by state; absent ones are left out.")


class Health(BaseModel):
    """Whether the process lives, or is ready for requests."""

    status: str


def moment(unix_seconds: float) -> dt.datetime:
    """Return a moment in UTC, to the second."""
    return dt.datetime.fromtimestamp(round(unix_seconds), dt.UTC)


def public(answer: ClaimAnswer) -> dict[str, Any]:
    """Return a claim as JSON without its tokens, for streams."""
    return answer.model_dump(mode="json", exclude={"token": True, "phases": True, "instances": {"__all__": {"token"}}})
