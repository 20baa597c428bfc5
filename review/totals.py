"""Sums over the instances of a review. Pure. A sum with an unknown part is unknown, never smaller."""

from collections.abc import Iterable, Mapping

from review.report import Action, InstanceReview

ORDER = (
    Action.RENTED,
    Action.IN_PLACE,
    Action.ANOTHER_MACHINE,
    Action.GIVEN_BACK,
    Action.RECORDED,
    Action.UNCHANGED,
)
STAYS = frozenset({Action.IN_PLACE, Action.RECORDED, Action.UNCHANGED})


def expected(one: InstanceReview) -> float | None:
    """Return an instance's cost after the edit, in $/h; a machine that stays keeps its present cost if no other is known."""
    if one.action is Action.GIVEN_BACK:
        return 0.0
    price = one.usd_per_hour
    return price.now if price.then is None and one.action in STAYS else price.then


def running(one: InstanceReview) -> float | None:
    """Return what an instance costs now, in $/h: nothing if it is to be rented."""
    return 0.0 if one.action is Action.RENTED else one.usd_per_hour.now


def total(prices: Iterable[float | None]) -> float | None:
    """Return the sum, or None if a part is unknown."""
    known = list(prices)
    return None if None in known else sum(price or 0.0 for price in known)


def counts(instances: Iterable[InstanceReview]) -> Mapping[Action, int]:
    """Return how many instances each action concerns, without actions that concern none."""
    actions = [one.action for one in instances]
    return {action: actions.count(action) for action in ORDER if action in actions}
