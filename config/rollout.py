"""A fleet's section `rollout`."""

import re
from typing import Any

from pydantic import Field, field_validator

from config.base import Section

MOST_DOWN = re.compile(r"([1-9][0-9]{0,2})(%?)\Z")


class RolloutConfig(Section):
    """Changes that close an endpoint or replace a machine go in waves: the next starts only if the last one serves."""

    max_unavailable: str = Field(
        "1",
        alias="maxUnavailable",
        description="How many instances may be down at once: a number, or a share of the replicas such as `25%`, rounded "
        "down and 1 at least. Creating does not wait.",
    )

    @field_validator("max_unavailable", mode="before")
    @classmethod
    def _number_or_share(cls, value: Any) -> Any:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        found = MOST_DOWN.match(text) if isinstance(text, str) else None
        if not found or (found[2] and int(found[1]) > 100):
            raise ValueError("a number of instances such as 1, or a share such as 25%, and not 0")
        return text

    def most_down(self, replicas: int) -> int:
        """Return how many of so many instances may be down at once."""
        number = int(self.max_unavailable.rstrip("%"))
        return max(1, replicas * number // 100) if self.max_unavailable.endswith("%") else number
