"""Open a stack's market from the stack's config: client, shared limits and clock.

The config comes from Pulumi's command line, or from the stack's own file.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.base import PROJECT
from config.market import DEFAULT_URL
from config.messages import ConfigError
from config.reading import structured
from providers.engine_watch import UnwatchedClock
from providers.vast.api.account_directory import account_directory
from providers.vast.api.breaker import Breaker
from providers.vast.api.client import VastClient
from providers.vast.api.rate_limit import SharedRateLimit
from providers.vast.api.response_cache import ResponseCache
from providers.vast.limits import Limits


@dataclass(frozen=True)
class StackMarket:
    """A stack's account on the market. `scale`: seconds of the market in one of ours."""

    client: VastClient
    scale: float
    clock: UnwatchedClock
    breaker: Breaker
    limits: Limits
    folder: Path  # all processes of this computer share it for the account


def open_market(
    stack: str, config: Mapping[str, Any], environ: Mapping[str, str], own_key: str | None = None, trouble: str = ""
) -> StackMarket:
    """Open the account that a stack's config names. The caller's own key comes first.

    `config` is the stack's whole config, by key with namespace. If it has no key or URL, VAST_API_KEY and VAST_URL
    apply. `trouble` is a sentence for the message if no key is known. Raises ConfigError.
    """
    key = own_key or config.get(f"{PROJECT}:vastApiKey") or environ.get("VAST_API_KEY")
    if not key:
        raise ConfigError(
            f"No key of the market is known.{trouble} Set VAST_API_KEY, or {PROJECT}:vastApiKey in the stack."
        )
    try:
        market = structured(config.get(f"{PROJECT}:market")) or {}
        url = market.get("url") or environ.get("VAST_URL") or DEFAULT_URL
        scale = float(market.get("timeScale") or 1)
    except (AttributeError, TypeError, ValueError):  # the error's text holds the value, which may be a secret
        raise ConfigError(
            f"{PROJECT}:market of stack {stack} cannot be read: url must be a text, and timeScale a number."
        ) from None
    place, clock = account_directory(url, key), UnwatchedClock()
    client = VastClient(
        url, key, SharedRateLimit(place, scale), clock, time_scale=scale, shared=ResponseCache(place, scale)
    )
    return StackMarket(client, scale, clock, Breaker(place, scale), _limits(config).at(scale), place)


def _limits(config: Mapping[str, Any]) -> Limits:
    """Return the default limits, with config's boot time if it has a readable one."""
    with suppress(AttributeError, TypeError, ValueError):
        minutes = (structured(config.get(f"{PROJECT}:limits")) or {}).get("bootMinutes")
        return Limits() if minutes is None else Limits(boot_seconds=float(minutes) * 60)
    return Limits()
