"""Say for which rents of an edit the budget has no room, by the rule of `up`, as far as a review knows its parts. Pure.

Unknown parts count as 0, so each sentence may understate the cost. `up` may refuse more.
"""

from collections.abc import Iterator, Mapping, Sequence

from config.fleets import FleetConfig
from config.stack import StackConfig
from providers.budget.figures import KEYS
from providers.budget.period import HOUR, MONTH, Period, periods_of
from providers.vast.rent_best import ask_of
from review.money import RENTS, spent_of
from review.prospects import Prospect
from review.report import InstanceReview
from review.standing import Standing
from review.totals import STAYS

CENT = 0.005


def without_room(
    instances: Sequence[InstanceReview],
    head: StackConfig,
    prospects: Mapping[str, Prospect],
    standing: Standing | None,
    at: float,
    scale: float,
) -> tuple[str, ...]:
    """Return a sentence for each budget that the edit's rents pass. `at`: unix seconds.

    `scale`: market seconds in one of ours; a market whose clock is fast charges as fast.
    """
    if not head.budget.enforce:
        return ()
    found = []
    for period in periods_of(at):
        budget = head.budget.by_period.get(period.name)
        if budget is None:
            continue
        spent = (spent_of(standing, at, scale) or 0.0) if period.name == MONTH else 0.0
        left = budget - spent - scale * _running(instances, head, standing, period, at)
        need = sum(_cheapest(instances, head, prospects, period, at, scale))
        if need and need > left + CENT:
            found.append(
                f"budget.{KEYS[period.name]}: what the edit rents costs at least ${need:,.2f} until the UTC {period.name} "
                f"ends, and of ${budget:,.2f} are ${max(0.0, left):,.2f} left beside what runs. The update refuses the rent. "
                f"Raise the budget to ${budget - left + need:,.2f}, or rent less."
            )
    return tuple(found)


def _cheapest(
    instances: Sequence[InstanceReview],
    head: StackConfig,
    prospects: Mapping[str, Prospect],
    period: Period,
    at: float,
    scale: float,
) -> Iterator[float]:
    """Yield the cost of each rent in the rest of a period, if it takes the cheapest offer.

    It leaves out a rent without an offer, or whose market is silent.
    """
    for name, fleet in head.fleets.items():
        count = sum(one.fleet == name and one.action in RENTS for one in instances)
        prospect = prospects.get(name)
        if not count or prospect is None or prospect.requirements is None:
            continue
        hours = scale * _hours(period, at, fleet, at)
        costs: dict[int, float] = {}
        for offer in prospect.offers:
            ask = ask_of(offer, prospect.requirements)
            cost = ask.usd_per_hour * hours + ask.once_usd
            costs[offer.machine_id] = min(cost, costs.get(offer.machine_id, cost))
        yield from sorted(costs.values())[:count]


def _running(
    instances: Sequence[InstanceReview], head: StackConfig, standing: Standing | None, period: Period, at: float
) -> float:
    """Return the cost of the instances that stay in the rest of a period, in US dollars of a market that is not fast."""
    created = {one.name: one.created_at for one in standing.instances} if standing else {}
    stay = [one for one in instances if one.action in STAYS and one.fleet in head.fleets]
    return sum(
        (one.usd_per_hour.now or 0.0) * _hours(period, at, head.fleets[one.fleet], created.get(one.name))
        for one in stay
    )


def _hours(period: Period, at: float, fleet: FleetConfig, created: float | None) -> float:
    """Return the hours that an instance runs in the rest of a period, at least; `created` is in unix seconds."""
    left = period.hours_left(at)
    if fleet.max_hours is None:
        return left
    return 0.0 if created is None else max(0.0, min(left, fleet.max_hours - (at - created) / HOUR))
