"""Assumes a machine if only config is known: the least suitable one that the old config allows. Pure.

So a verdict by config alone says "another machine" rather than promise that one stays.
"""

from providers.vast.changes import Machine
from providers.vast.settings import InstanceSettings

ELSEWHERE = "??"  # a country that no config names


def assumed_machine(old: InstanceSettings, new: InstanceSettings) -> Machine:
    """Return the machine on which an edit from `old` to `new` has the largest effect."""
    was, wanted = old.requirements, new.requirements
    gpus = [gpu for gpu in was.market_gpus if gpu not in wanted.market_gpus] or list(was.market_gpus)
    places = [country for country in was.countries or (ELSEWHERE,) if country not in wanted.countries]
    return Machine(
        gpu_name=gpus[0],
        gpu_count=was.gpu_count,
        disk_gb=old.disk_gb,
        usd_per_hour=was.max_usd_per_hour,
        country=next(iter([*places, *was.countries]), ""),
    )
