"""The sections `metrics` and `budget` of stack config."""

from pydantic import Field

from config.base import Section


class MetricsConfig(Section):
    """Where hosts report to; left out, they do not."""

    url: str = Field(
        pattern=r"^https://[^/?#\s]+/?$",
        description="URL of the receiver in front of Prometheus as hosts reach it, without a path; they must trust its "
        "certificate.",
    )
    interval_seconds: float = Field(
        15, alias="intervalSeconds", ge=1, le=60, description="Seconds between two reports; every byte is billed."
    )


class BudgetConfig(Section):
    """What the fleets may cost, in US dollars as the market charges them. It only observes: nothing is stopped by it."""

    usd_per_day: float = Field(0, alias="usdPerDay", ge=0, description="For a UTC day; 0 for none.")
    usd_per_month: float = Field(0, alias="usdPerMonth", ge=0, description="For a UTC month; 0 for none.")
