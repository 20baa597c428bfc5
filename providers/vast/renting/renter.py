"""What renting works with: a market, a clock and the limits, handed on together."""

from dataclasses import dataclass

from providers.engine_watch import RentingClock
from providers.vast.api.market import Market
from providers.vast.limits import Limits


@dataclass(frozen=True)
class Renter:
    """The market that is asked, the clock that waits, and the bounds of waiting."""

    market: Market
    clock: RentingClock
    limits: Limits
