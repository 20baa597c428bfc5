"""How many more slots the budget allows; pure.

A rent is allowed if the period's spend, and every slot at its ceiling until the period ends, still fit the budget with it.
So no later rent of the period can break the budget, whatever the market charges below the ceiling. The rule stops rents
alone: it ends nothing that serves.
"""

from dataclasses import dataclass

from controller.reasons import Reason, Rule

NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class Spend:
    """The market's charges in a period, as read `age_seconds` ago."""

    usd: float
    age_seconds: float = 0.0


@dataclass(frozen=True)
class Period:
    """A UTC day or month with a budget; 0 is none. `spent` is None if it could not be read."""

    name: str
    budget_usd: float
    hours_left: float
    spent: Spend | None


@dataclass(frozen=True)
class Money:
    """Budgets, and what rents cost at most. `ceiling` is $/h of one slot of this fleet.

    `others` is the sum of the ceilings, in $/h, of all else that is rented. `others_most` and `most` are the largest that
    `others` and the number of this fleet's slots may have been since the spend was read. `life_hours` is the longest that an
    instance lives, if something ends it then.
    """

    ceiling: float
    periods: tuple[Period, ...] = ()
    others: float = 0.0
    life_hours: float | None = None
    others_most: float = 0.0
    most: int = 0


def affordable(money: Money, paid: int, most: int) -> tuple[int, Reason | None]:
    """Return how many slots may be rented beside `paid`, and the period that limits them most.

    `most` is the largest number of slots that may have been paid at once since the spend was read.
    """
    limits = [
        _allowed(period, money, paid, max(paid, most, money.most)) for period in money.periods if period.budget_usd > 0
    ]
    return min(limits, key=lambda limit: limit[0], default=(NO_LIMIT, None))


def _allowed(period: Period, money: Money, paid: int, most: int) -> tuple[int, Reason | None]:
    if period.spent is None:
        return 0, Reason(
            Rule.SPEND_UNKNOWN, f"what the {period.name} has cost is unknown, so nothing more is rented", {}
        )
    hours = period.hours_left if money.life_hours is None else min(period.hours_left, money.life_hours)
    since = (max(money.others, money.others_most) + most * money.ceiling) * period.spent.age_seconds / 3600
    committed = period.spent.usd + since + (money.others + paid * money.ceiling) * hours
    one = money.ceiling * hours
    left = period.budget_usd - committed
    count = NO_LIMIT if one <= 0 else max(0, int(left / one + 1e-9))
    facts = _facts(period, money, committed, paid)
    return count, Reason(
        Rule.BUDGET,
        f"${committed:.2f} of the {period.name}'s ${period.budget_usd:.2f} are spent or promised at the ceilings of "
        f"{paid} slots; {count} more fit",
        facts,
    )


def _facts(period: Period, money: Money, committed: float, paid: int) -> dict[str, str | float]:
    return {
        "period": period.name,
        "budgetUsd": period.budget_usd,
        "committedUsd": round(committed, 4),
        "hoursLeft": round(period.hours_left, 3),
        "ceilingUsdPerHour": money.ceiling,
        "paidSlots": paid,
    }
