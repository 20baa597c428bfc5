"""The base of every section of stack config."""

from pydantic import BaseModel, ConfigDict

PROJECT = "gpu-fleet"  # the namespace of our keys


class Section(BaseModel):
    """A part of stack config. It is frozen, and it refuses keys that it does not know."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, strict=False, coerce_numbers_to_str=True
    )
