"""A fleet's section `lease`."""

from pydantic import Field

from config.base import Section


class LeaseConfig(Section):
    """A permission to run, which a client or a command renews. Without renewal an idle host ends itself.

    A busy host ends at `maxHours` only.
    """

    minutes: float = Field(
        gt=0,
        description="How long a lease lasts. Each `up` and `refresh` renews it, and so does `POST /lease` at the endpoint "
        "with its token.",
    )
