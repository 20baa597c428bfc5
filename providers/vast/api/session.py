"""A provider process's session with the market.

One client behind the breaker. It shares rate limits and answers with all processes of the account.
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
    """Yield a market while the block lasts. Raises SettingsInvalid if others may write to the account's folder."""
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
    look_seconds = Limits().at(scale).look_seconds
    try:
        yield GuardedMarket(client, breaker, clock, look_seconds, Claims(place, scale), client.charges, place)
    finally:
        client.close()
