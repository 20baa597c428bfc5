"""Plays the faults that strike a rental."""

from collections.abc import Mapping

from sandbox.faults import Faults, Occasion
from sandbox.market.records.machines import Machine

RISE = 1.5
# Fault -> the market's HTTP status if another customer was faster.
RACES: Mapping[str, int] = {"offer-taken": 410, "offer-taken-404": 404, "offer-taken-400": 400}


def lost_race(faults: Faults, occasion: Occasion) -> int | None:
    """Return the status of the refusal if another customer takes the offer at this moment."""
    return next((status for name, status in RACES.items() if faults.take(name, occasion)), None)


def price_after(faults: Faults, occasion: Occasion, usd_per_hour: float) -> float:
    """Return the price of the GPUs from now on."""
    return usd_per_hour * RISE if faults.take("price-rises", occasion) else usd_per_hour


def twin_offer(faults: Faults, occasion: Occasion, listed: Mapping[int, Machine], disk_gb: float) -> int | None:
    """Return a second offer to rent with the first one."""
    fitting = [number for number, machine in listed.items() if machine.disk_gb >= disk_gb]
    return fitting[0] if fitting and faults.take("duplicate-instance", occasion) else None
