"""Bundle of a market, a clock and limits, passed on together by renting functions."""

from dataclasses import dataclass

from providers.engine_watch import RentingClock
from providers.vast.api.market import Market
from providers.vast.limits import Limits


@dataclass(frozen=True)
class Renter:
    """The market to ask, the clock to wait with, and the bounds of waiting."""

    market: Market
    clock: RentingClock
    limits: Limits
