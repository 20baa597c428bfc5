"""Look instances up by id and label. Two looks that agree prove that an instance is gone."""

from collections.abc import Iterable

from providers.vast.api import errors
from providers.vast.api.instance import Instance
from providers.vast.api.market import Market
from providers.vast.api.rows import set_aside
from providers.vast.renting.renter import Renter


def find(market: Market, instance_id: int, label: str | None = None, age_seconds: float = 0.0) -> Instance | None:
    """Return an instance from the market's list, or None if the list lacks it.

    None alone does not prove absence; use `is_absent` for that. Raises OutcomeUnknown if the instance's row does not
    parse.
    """
    rows = market.instances(label, age_seconds)
    if odd := next((row for row in set_aside(rows) if row.id == instance_id), None):
        raise errors.OutcomeUnknown("list", odd.description)
    return next((instance for instance in rows if instance.id == instance_id), None)


def look_up(market: Market, instance_id: int, label: str) -> Instance | None:
    """Return an instance from the list, or by its id if the list lacks it."""
    return find(market, instance_id, label) or market.show(instance_id)


def surplus(market: Market, instance_id: int, label: str) -> list[Instance]:
    """Return other instances with this label, left by a creator that crashed."""
    return [instance for instance in by_id(market.instances(label)) if instance.id != instance_id]


def is_absent(renter: Renter, instance_id: int, label: str | None = None) -> bool:
    """Return whether two lists, apart in time, and a look by id all lack the instance.

    Relies on well-formed answers to an accepted key: the client raises on anything else. The caller makes sure that the
    instance is older than the settling time.
    """
    if find(renter.market, instance_id, label) is not None:
        return False
    renter.clock.sleep(renter.limits.look_seconds)
    return renter.market.show(instance_id) is None and find(renter.market, instance_id, label) is None


def by_id(instances: Iterable[Instance]) -> list[Instance]:
    """Sort instances by id, lowest first. Without a mark, the lowest id holds the label."""
    return sorted(instances, key=lambda instance: instance.id)
