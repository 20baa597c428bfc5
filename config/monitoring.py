"""The sections `metrics` and `budget` of stack config."""

from pydantic import Field

from config.base import Section


class MetricsConfig(Section):
    """The receiver that hosts report to. Without this section they do not report."""

    url: str = Field(
        pattern=r"^https://[^/?#\s]+/?$",
        description="URL of the receiver in front of Prometheus as hosts reach it, without a path; they must trust its "
        "certificate.",
    )
    interval_seconds: float = Field(
        15, alias="intervalSeconds", ge=1, le=60, description="Seconds between two reports; every byte is billed."
    )


class BudgetConfig(Section):
    """Budget of all fleets in US dollars, as the market charges them. Alerts compare with it; it stops nothing."""

    usd_per_day: float = Field(0, alias="usdPerDay", ge=0, description="For a UTC day; 0 for none.")
    usd_per_month: float = Field(0, alias="usdPerMonth", ge=0, description="For a UTC month; 0 for none.")
