"""A fleet's key `replicas`: a number, or the bounds of an elastic fleet and how quickly its count follows the load."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, PlainSerializer, PlainValidator, SerializationInfo, TypeAdapter, model_validator

from config.base import Section


class Elastic(Section):
    """Bounds of an elastic fleet, and the windows of its rules. Within the bounds the controller owns the count."""

    min: int = Field(0, ge=0, le=500, description="Fewest instances.")
    max: int = Field(ge=0, le=500, description="Most instances; 0 has every instance leave.")
    requests_per_instance: int = Field(
        8, alias="requestsPerInstance", ge=1, description="How many requests at once one instance should have."
    )
    down_seconds: float = Field(
        300, alias="downSeconds", ge=0, description="How long fewer must be enough before an instance leaves."
    )
    idle_seconds: float = Field(
        900, alias="idleSeconds", ge=0, description="How long no request must come before the last instance leaves."
    )
    max_request_minutes: float = Field(
        60,
        alias="maxRequestMinutes",
        gt=0,
        description="Longest duration of one request. A leaving instance waits at most that long for its requests.",
    )

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> "Elastic":
        if self.min > self.max:
            raise ValueError(f"min is {self.min}, which is more than max, {self.max}")
        return self

    @property
    def max_request_seconds(self) -> float:
        """The longest duration of one request, in seconds."""
        return self.max_request_minutes * 60


_NUMBER: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(ge=0, le=500)])


def _number_or_bounds(value: Any) -> int | Elastic:
    if isinstance(value, Mapping | Elastic):
        return Elastic.model_validate(value)
    return _NUMBER.validate_python(value)


def _written(value: int | Elastic, info: SerializationInfo) -> Any:
    """Return a dump's value of it. Without this, pydantic dumps bounds twice, and warns that they are no bounds."""
    if not isinstance(value, Elastic):
        return value
    return value.model_dump(mode=info.mode, by_alias=info.by_alias, exclude_defaults=info.exclude_defaults)


Replicas = Annotated[int | Elastic, PlainValidator(_number_or_bounds), PlainSerializer(_written)]
