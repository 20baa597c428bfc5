"""Compare an instance's present charge with the price at its rent. Pure rules.

A landlord may raise the price of a running contract. The formula is the one that ranks offers (see
`search.prices.usd_per_hour`), so both prices compare with `maxUsdPerHour`.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Protocol

from bootstrap.services import Progress
from providers.vast.api.errors import VastError
from providers.vast.api.instance import Instance
from providers.vast.api.responses import PriceIncrease
from providers.vast.search.requirements import Requirements
from providers.vast.settings import InstanceSettings

REPLACE = "replace"  # value of `overCeiling`: a landlord's increase past the ceiling replaces the machine
ROUNDING = 1.005  # the market rounds its sums; a smaller difference is no rise


class Landlords(Protocol):
    """Market calls that this module needs; `api.client.VastClient` has them."""

    def price_increases(self) -> Sequence[PriceIncrease]:
        """Return the price increases that landlords have announced for contracts of the account."""


def charged_usd_per_hour(instance: Instance, requirements: Requirements) -> float | None:
    """Return the all-in $/h that the market charges for an instance now, or None if its row does not say."""
    if not instance.dph_total or instance.inet_down_cost is None:
        return None
    return instance.dph_total + requirements.weights_gb * instance.inet_down_cost / requirements.expected_hours


def paid(outs: Mapping[str, Any]) -> float | None:
    """Return an instance's cost in $/h by its outputs in state: the charge, else the price at the rent."""
    price = outs.get("chargedUsdPerHour")
    price = outs.get("usdPerHour") if price is None else price
    return None if price is None else float(price)


def has_risen(rented: float, charged: float | None) -> bool:
    """Return whether the price has risen since the rent. Both in $/h."""
    return charged is not None and charged > rented * ROUNDING


def describe_rise(name: str, rented: float, charged: float | None, ceiling: float, replaces: bool) -> str | None:
    """Describe a rise of the charge since the rent, and its consequence; None if there is no rise. Prices in $/h."""
    if charged is None or not has_risen(rented, charged):
        return None
    rise = f"it is charged ${charged:.3f}/h now, and was rented for ${rented:.3f}/h"
    if charged <= ceiling:
        return rise
    follows = (
        "the next `pulumi up` takes another machine"
        if replaces
        else (f"it stays, unless its fleet says `overCeiling: replace`; once: `pulumi up --replace '**{name}'`")
    )
    return f"{rise}; maxUsdPerHour is {ceiling:g}: {follows}"


def charged_now(instance: Instance, settings: InstanceSettings, outs: Mapping[str, Any]) -> float | None:
    """Return an instance's charge by its row, in $/h; if the row gives none, the charge in state.

    A row without a charge does not mean that the charge changed.
    """
    charged = charged_usd_per_hour(instance, settings.to_requirements())
    return outs.get("chargedUsdPerHour") if charged is None else round(charged, 6)


def report_rise(settings: InstanceSettings, outs: Mapping[str, Any], report_progress: Progress) -> None:
    """Tell the operator that the landlord has raised the price since the rent, if the outputs in state say so."""
    requirements, rented = settings.requirements, float(outs.get("usdPerHour") or 0)
    charged, ceiling = outs.get("chargedUsdPerHour"), requirements.max_usd_per_hour
    if rise := describe_rise(settings.name, rented, charged, ceiling, requirements.over_ceiling == REPLACE):
        report_progress("price", rise)


def report_prices(
    instance_id: int,
    settings: InstanceSettings,
    outs: Mapping[str, Any],
    market: Landlords,
    report_progress: Progress,
) -> None:
    """Tell the operator of a landlord's price rise, and of announced rises."""
    report_rise(settings, outs, report_progress)
    with suppress(VastError):  # announcements are optional: a key without their scope still works
        for text in describe_announced_rise(instance_id, market.price_increases()):
            report_progress("price", text)


def describe_announced_rise(instance_id: int, increases: Iterable[PriceIncrease]) -> list[str]:
    """Describe the price increases that landlords have announced for an instance."""
    return [_describe_increase(one) for one in increases if one.contract_id == instance_id and one.new_gpu_costpersec]


def _describe_increase(one: PriceIncrease) -> str:
    now = f", and has ${one.old_gpu_costpersec * 3600:.3f}/h" if one.old_gpu_costpersec else ""
    ends = one.contract_end_date
    when = f"on {datetime.fromtimestamp(ends, UTC):%Y-%m-%d %H:%M} UTC" if ends else "at its end"
    return (
        f"its landlord wants ${(one.new_gpu_costpersec or 0) * 3600:.3f}/h for the GPUs{now}; the price holds until the "
        f"contract ends {when}; to keep the instance longer, accept the price on the market's console"
    )
