"""The section `limits` of stack config, in the units that users write."""

from pydantic import Field

from config.base import Section


class LimitsConfig(Section):
    """Bounds of bringing one instance online."""

    attempts: int = Field(3, ge=1, le=25, description="Offers that are tried before giving up.")
    boot_minutes: float = Field(
        40,
        alias="bootMinutes",
        gt=0,
        description="From rent to running; half as long again while the market's message about the boot still changes.",
    )
    connect_minutes: float = Field(5, alias="connectMinutes", gt=0, description="From running to the first SSH login.")
    total_minutes: float | None = Field(
        None,
        alias="totalMinutes",
        gt=0,
        description="All attempts together. Default: by the weights' size and `downloadMbps`, 120 at least.",
    )
    expected_hours: float = Field(
        8, alias="expectedHours", gt=0, description="Hours over which the download's price is spread."
    )
    down_minutes: float = Field(
        15,
        alias="downMinutes",
        gt=0,
        description="How long a machine may be down before another replaces it, if its endpoint is silent.",
    )
    rents_per_hour: int = Field(
        200,
        alias="rentsPerHour",
        ge=1,
        description="Most rents an hour on the account, all stacks and computers together; past it renting stops.",
    )
