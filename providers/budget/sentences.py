"""Say in words why a rent does not fit, and how an operator can make it fit. Pure."""

import math

from providers.budget.figures import KEYS, Figures
from providers.budget.reservations import Reservation


def dollars(usd: float) -> str:
    """Write dollars and cents; a sum below a cent keeps its first digits.

    >>> dollars(12.3), dollars(0.0042), dollars(-1)
    ('$12.30', '$0.0042', '-$1.00')
    """
    sign, size = ("-" if usd < 0 else ""), abs(usd)
    return f"{sign}${size:.2f}" if size >= 0.01 or size < 5e-5 else f"{sign}${size:.4f}"


def refused(name: str, one: Reservation, row: Figures, share: float = 1.0) -> str:
    """Return the paragraph for a rent that could pass the budget of a period."""
    hours = row.hours_left if one.max_hours is None else min(row.hours_left, one.max_hours)
    cost, key = one.usd(row.hours_left), f"gpu-fleet:budget.{KEYS[row.period]}"
    once = f" and {dollars(one.once_usd)} for traffic" if one.once_usd >= 0.005 else ""
    part = (
        "" if share == 1.0 else f" (this computer's share of {share:.0%}, because the store has no conditional writes)"
    )
    budget = f"the {row.period}'s budget of {dollars(row.budget)}{part}"
    least = math.ceil((row.budget - row.left + cost) / share * 100 - 1e-6) / 100
    return (
        f"{name}: not rented, because at ${one.usd_per_hour:.3f}/h it may cost {dollars(cost)} until the UTC {row.period} "
        f"ends ({hours:.1f} h{once}), and {budget} has {dollars(max(0.0, row.left))} left. "
        f"{dollars(row.spent)} are spent by {row.counted_by}, {dollars(row.running)} are what runs until then, and "
        f"{dollars(row.reserved)} are reserved for rents under way. What runs goes on. `gpu-fleet budget` shows the "
        f"figures. Raise the budget: `pulumi config set --path {key} {least:.2f}`, then `pulumi up`. Or let hosts end "
        "sooner with maxHours of the fleet. With budget.enforce: false a budget only observes."
    )
