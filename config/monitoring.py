"""The sections `metrics` and `budget` of stack config."""

from collections.abc import Collection
from typing import Any

from pydantic import Field

from config.base import Section


class MetricsConfig(Section):
    """The receiver that hosts report to. Without this section they do not report."""

    url: str = Field(
        "",
        pattern=r"^(https://[^/?#\s]+/?)?$",
        description="URL of the receiver in front of Prometheus as hosts reach it, without a path; they must trust its "
        "certificate. Default with `cluster` and `kubernetes`: the cluster's own address, certified by the stack's CA.",
    )
    interval_seconds: float = Field(
        15, alias="intervalSeconds", ge=1, le=60, description="Seconds between two reports; every byte is billed."
    )


class WrittenMetrics(MetricsConfig):
    """The receiver as a resource's inputs and state name it. `own_ca`: the stack's own CA certified it."""

    url: str = Field(min_length=1)
    own_ca: bool = Field(False, alias="ownCa")


class BudgetConfig(Section):
    """Budget of all fleets in US dollars, as the market charges them.

    The program refuses a rent that could pass it. Running instances go on, and alerts compare with it.
    """

    usd_per_day: float = Field(0, alias="usdPerDay", ge=0, description="For a UTC day; 0 for none.")
    usd_per_month: float = Field(0, alias="usdPerMonth", ge=0, description="For a UTC month; 0 for none.")
    enforce: bool = Field(
        True, description="Refuse a rent that could pass the budget. With false the budget only observes."
    )
    controller_share: float = Field(
        0.5,
        alias="controllerShare",
        gt=0,
        lt=1,
        description="Part of the budget for elastic fleets, if the store has no conditional writes. Else all share it.",
    )

    @property
    def by_period(self) -> dict[str, float]:
        """The budgets that are set, in $ by period: `day`, `month`."""
        wanted = {"day": self.usd_per_day, "month": self.usd_per_month}
        return {period: usd for period, usd in wanted.items() if usd > 0}

    def input_of(self, elastic: Collection[str]) -> dict[str, Any]:
        """Return the input `budget` of an instance; empty if no budget is enforced. `elastic`: names of such fleets."""
        if not self.enforce or not self.by_period:
            return {}
        divided = {"controllerShare": self.controller_share, "elastic": sorted(elastic)} if elastic else {}
        return {"usdPerDay": self.usd_per_day, "usdPerMonth": self.usd_per_month, **divided}
