"""What all sections of stack config have in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of stack config: it does not change once it is read, and a key that it does not know is refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, strict=False, coerce_numbers_to_str=True
    )
