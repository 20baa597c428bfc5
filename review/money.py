"""The cost of the instances now, after the edit and at the ceilings, against the budget. Pure. Unknown is never zero."""

from collections.abc import Iterable, Mapping, Sequence

from config.stack import StackConfig
from providers.budget.period import HOUR, periods_of
from providers.vast.api.offer import Offer
from review.prospects import Prospect, prices_of
from review.report import Action, InstanceReview, PeriodReview, Price
from review.standing import Standing
from review.totals import expected, running, total

HOURS_A_MONTH = 730.0
DAY_HOURS = 24.0
RENTS = frozenset({Action.RENTED, Action.ANOTHER_MACHINE})


def priced(
    instances: Sequence[InstanceReview], prospects: Mapping[str, Prospect], head: StackConfig
) -> tuple[InstanceReview, ...]:
    """Return the instances with the prices of the offers that they would take; each machine is taken once.

    If there are fewer machines than rents, the dearest offer is expected for the rest.
    """
    taken: set[int] = set()
    found = []
    for one in instances:
        now, then, ceiling = one.usd_per_hour.now, one.usd_per_hour.now, one.usd_per_hour.now
        if one.action in RENTS:
            offers = prices_of(prospects[one.fleet]) if one.fleet in prospects else {}
            machine = _next(offers, taken)
            dearest = max(offers.values(), default=None)
            then = dearest if machine is None else offers[machine]
            then, ceiling = None if then is None else round(then, 6), head.fleets[one.fleet].max_usd_per_hour
        elif one.action is Action.GIVEN_BACK:
            then = ceiling = 0.0
        found.append(one.model_copy(update={"usd_per_hour": Price(now=now, then=then, ceiling=ceiling)}))
    return tuple(found)


def wanted(
    instances: Sequence[InstanceReview], head: StackConfig, prospects: Mapping[str, Prospect]
) -> Mapping[str, Sequence[Offer]]:
    """Return the offers that the rents would take, by fleet; each machine once, those of the controller last."""
    renting = [one.fleet for one in instances if one.action in RENTS]
    renting += [name for name in head.fleets for _ in range(_lacking(name, instances, head))]
    taken: set[int] = set()
    found: dict[str, list[Offer]] = {}
    for fleet in renting:
        offers = {offer.machine_id: offer for offer in reversed(prospects[fleet].offers)} if fleet in prospects else {}
        machine = _next(prices_of(prospects[fleet]), taken) if offers else None
        if machine is not None:
            found.setdefault(fleet, []).append(offers[machine])
    return found


def _next(offers: Iterable[int], taken: set[int]) -> int | None:
    """Return the best machine that no other rent takes, and note it; None if there is none."""
    machine = next((machine for machine in offers if machine not in taken), None)
    if machine is not None:
        taken.add(machine)
    return machine


def periods(
    instances: Sequence[InstanceReview],
    head: StackConfig,
    prospects: Mapping[str, Prospect],
    standing: Standing | None,
    at: float,
    scale: float,
) -> tuple[PeriodReview, ...]:
    """Return a day, this month, and a month always on, in US dollars. `at`: unix seconds.

    `scale`: market seconds in one of ours; a market whose clock is fast charges as fast.
    """
    now = total(running(one) for one in instances)
    then = total([*(expected(one) for one in instances), *_to_come(instances, head, prospects)])
    most = total([*(one.usd_per_hour.ceiling for one in instances), *_room(instances, head)])
    rates = [None if rate is None else rate * scale for rate in (now, then, most)]
    left, spent = hours_left(at), spent_of(standing, at, scale)
    budget = head.budget
    month = _period("this month", rates, left, budget.usd_per_month or None, spent)
    return (
        _period("a day", rates, DAY_HOURS, budget.usd_per_day or None),
        month.model_copy(update={"spent": spent, "hours_left": left}),
        _period("a month of 730 h, always on", rates, HOURS_A_MONTH, None),
    )


def _period(
    name: str, rates: Sequence[float | None], hours: float, budget: float | None, spent: float | None = 0.0
) -> PeriodReview:
    now, then, most = (None if rate is None or spent is None else round(rate * hours + spent, 4) for rate in rates)
    return PeriodReview(name=name, now=now, expected=then, ceiling=most, budget=budget)


def _to_come(
    instances: Iterable[InstanceReview], head: StackConfig, prospects: Mapping[str, Prospect]
) -> list[float | None]:
    """Return the prices of what the controller will rent, up to each elastic fleet's least count."""
    found: list[float | None] = []
    for name in head.fleets:
        offers = prices_of(prospects[name]) if name in prospects else {}
        found += [next(iter(offers.values()), None)] * _lacking(name, instances, head)
    return found


def _lacking(name: str, instances: Iterable[InstanceReview], head: StackConfig) -> int:
    """Return how many instances the controller will rent for a fleet in any case."""
    elastic = head.fleets[name].elastic
    return max(0, (elastic.min if elastic else 0) - _running(name, instances))


def _room(instances: Iterable[InstanceReview], head: StackConfig) -> list[float]:
    """Return the ceilings of what the controller may rent beside what runs."""
    found: list[float] = []
    for name, fleet in head.fleets.items():
        if fleet.elastic:
            found += [fleet.max_usd_per_hour] * max(0, fleet.elastic.max - _running(name, instances))
    return found


def _running(fleet: str, instances: Iterable[InstanceReview]) -> int:
    return sum(one.fleet == fleet and one.action is not Action.GIVEN_BACK for one in instances)


def hours_left(at: float) -> float:
    """Return the hours to the end of the UTC month. `at`: unix seconds."""
    _day, month = periods_of(at)
    return month.hours_left(at)


def spent_of(standing: Standing | None, at: float, scale: float) -> float | None:
    """Return what this UTC month has cost so far: the published sum, and what runs since then. None if unknown."""
    if standing is None or standing.spent_this_month is None:
        return None
    rate = total(one.pays for one in standing.instances)
    if rate is None or periods_of(standing.at)[1] != periods_of(at)[1]:
        return None
    return standing.spent_this_month + rate * scale * max(0.0, at - standing.at) / HOUR
