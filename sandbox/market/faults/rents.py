"""Faults that strike in the moment of a rental."""

from collections.abc import Mapping

from sandbox.faults import Faults, Occasion
from sandbox.market.records.machines import Machine

RISE = 1.5
# Fault -> the HTTP status with which the market says that somebody else was faster.
RACES: Mapping[str, int] = {"offer-taken": 410, "offer-taken-404": 404, "offer-taken-400": 400}


def lost_race(faults: Faults, occasion: Occasion) -> int | None:
    """Return the status of the refusal where somebody else rents the offer in this moment."""
    return next((status for name, status in RACES.items() if faults.take(name, occasion)), None)


def price_after(faults: Faults, occasion: Occasion, usd_per_hour: float) -> float:
    """Return what the GPUs cost from now on."""
    return usd_per_hour * RISE if faults.take("price-rises", occasion) else usd_per_hour


def twin_offer(faults: Faults, occasion: Occasion, listed: Mapping[int, Machine], disk_gb: float) -> int | None:
    """Return a second offer to rent along with the first one."""
    fitting = [number for number, machine in listed.items() if machine.disk_gb >= disk_gb]
    return fitting[0] if fitting and faults.take("duplicate-instance", occasion) else None
