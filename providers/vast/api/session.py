"""The way from a provider process to the market: one client, paced and shared with all others of the account, behind the
breaker.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from config.market import MarketConfig
from providers.engine_watch import RentingClock
from providers.vast.api.account_directory import account_directory
from providers.vast.api.breaker import Breaker
from providers.vast.api.client import VastClient
from providers.vast.api.guarded_market import GuardedMarket
from providers.vast.api.offer_claims import Claims
from providers.vast.api.rate_limit import SharedRateLimit
from providers.vast.api.response_cache import ResponseCache
from providers.vast.limits import Limits


@contextmanager
def market_session(market: MarketConfig, key: str, clock: RentingClock, rents_per_hour: int) -> Iterator[GuardedMarket]:
    """Give a market for as long as the block lasts. Raises SettingsInvalid."""
    scale, place = market.time_scale, account_directory(market.url, key)
    breaker = Breaker(place, scale, rents_per_hour)
    client = VastClient(
        market.url,
        key,
        SharedRateLimit(place, scale),
        clock,
        time_scale=scale,
        shared=ResponseCache(place, scale),
        on_list=lambda rows: breaker.listed(rows, clock.monotonic(), clock.time()),
    )
    try:
        yield GuardedMarket(client, breaker, clock, Limits().at(scale).look_seconds, Claims(place, scale))
    finally:
        client.close()
