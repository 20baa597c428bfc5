"""The way from a provider process to the market: one client, paced and shared with all others of the account, behind the
breaker.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from config.market import MarketConfig
from providers.engine_watch import RentingClock
from providers.vast.breaker import Breaker
from providers.vast.claims import Claims
from providers.vast.client import VastClient
from providers.vast.guarded import GuardedMarket
from providers.vast.limits import Limits
from providers.vast.meeting import meeting_place
from providers.vast.pace import SharedPace
from providers.vast.shared import SharedAnswers


@contextmanager
def reach(market: MarketConfig, key: str, clock: RentingClock, rents_per_hour: int) -> Iterator[GuardedMarket]:
    """Give a market for as long as the block lasts. Raises SettingsInvalid."""
    scale, place = market.time_scale, meeting_place(market.url, key)
    breaker = Breaker(place, scale, rents_per_hour)
    client = VastClient(
        market.url,
        key,
        SharedPace(place, scale),
        clock,
        time_scale=scale,
        shared=SharedAnswers(place, scale),
        on_list=lambda rows: breaker.listed(rows, clock.monotonic(), clock.time()),
    )
    try:
        yield GuardedMarket(client, breaker, clock, Limits().at(scale).look_seconds, Claims(place, scale))
    finally:
        client.close()
