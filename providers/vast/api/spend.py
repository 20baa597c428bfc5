"""Add up charges by UTC day and month, pure."""

from collections.abc import Iterable
from datetime import UTC, datetime

from providers.vast.api.responses import Charge


def charged_usd(charge: Charge) -> dict[str, float]:
    """Return $ by the market's kinds. A charge without items counts as GPU."""
    usd: dict[str, float] = {}
    for item in charge.items:
        usd[item.type] = usd.get(item.type, 0.0) + item.amount
    return usd or {"gpu": charge.amount}


def charged_total(charge: Charge) -> float:
    """Return $ of all kinds together."""
    return sum(charged_usd(charge).values())


def spent(charges: Iterable[Charge], now: float) -> dict[str, float]:
    """Return $ of the UTC day and month of `now` (unix seconds). A charge counts evenly over its time."""
    rows = list(charges)
    moment = datetime.fromtimestamp(now, UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    begins = {"day": midnight.timestamp(), "month": midnight.replace(day=1).timestamp()}
    return {period: sum(_since(charge, begin) for charge in rows) for period, begin in begins.items()}


def _since(charge: Charge, begin: float) -> float:
    length = charge.end - charge.start
    share = min(1.0, max(0.0, charge.end - begin) / length) if length > 0 else float(charge.end >= begin)
    return charged_total(charge) * share
