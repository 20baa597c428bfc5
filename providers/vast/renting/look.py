"""Look instances up by id and label. Two looks that agree mean that an instance is gone."""

from collections.abc import Iterable

from providers.vast.api import errors
from providers.vast.api.instance import Instance
from providers.vast.api.market import Market
from providers.vast.api.rows import set_aside
from providers.vast.renting.renter import Renter


def find(market: Market, instance_id: int, label: str | None = None, age_seconds: float = 0.0) -> Instance | None:
    """Return an instance out of the list; None says little, `is_absent` says when it says something.

    Raises OutcomeUnknown where its row is there and does not parse.
    """
    rows = market.instances(label, age_seconds)
    if odd := next((row for row in set_aside(rows) if row.id == instance_id), None):
        raise errors.OutcomeUnknown("list", odd.told)
    return next((instance for instance in rows if instance.id == instance_id), None)


def look_up(market: Market, instance_id: int, label: str) -> Instance | None:
    """Return an instance by the list, or by itself where the list lacks it."""
    return find(market, instance_id, label) or market.show(instance_id)


def surplus(market: Market, instance_id: int, label: str) -> list[Instance]:
    """Return what carries the label besides an instance: somebody else who created the same died over it."""
    return [instance for instance in by_id(market.instances(label)) if instance.id != instance_id]


def is_absent(renter: Renter, instance_id: int, label: str | None = None) -> bool:
    """Say whether two lists, apart in time, and a look by id agree that there is no such instance.

    Only well-formed answers to an accepted key get here: anything else raises in the client. The caller sees to it that
    the instance is older than the settling time.
    """
    if find(renter.market, instance_id, label) is not None:
        return False
    renter.clock.sleep(renter.limits.look_seconds)
    return renter.market.show(instance_id) is None and find(renter.market, instance_id, label) is None


def by_id(instances: Iterable[Instance]) -> list[Instance]:
    """Order instances by id: the lowest is the one that stays wherever there are several under one label."""
    return sorted(instances, key=lambda instance: instance.id)
