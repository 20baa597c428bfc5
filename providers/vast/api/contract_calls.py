"""The market's calls about a contract, other than rent and destroy."""

from typing import Any

from bootstrap.clock import Clock
from providers.vast.api.attached_keys import Ask
from providers.vast.api.response_cache import ResponseCache
from providers.vast.api.responses import DestroyResponse, PriceIncrease, PriceIncreases
from providers.vast.api.rows import Listing, read

INCREASES_PATH = "/api/v0/instances/pending-price-increases/"
INCREASES = "increases"  # the key of this question in the response cache


def start(ask: Ask, instance_id: int) -> None:
    """Ask the market to start a stopped instance. Raises VastError."""
    ask("PUT", f"/api/v0/instances/{instance_id}/", DestroyResponse, {"state": "running"})


def increases(ask: Ask, shared: ResponseCache | None, since: float, clock: Clock) -> Listing[PriceIncrease]:
    """Return the price increases that landlords announced.

    A shared answer is enough if any process asked for it after `since` (monotonic seconds). The listing keeps rows that
    do not parse separately. Raises VastError.
    """

    def ask_market() -> tuple[float, list[dict[str, Any]]]:
        asked = clock.monotonic()
        return asked, ask("GET", INCREASES_PATH, PriceIncreases, None).pending_price_increases

    return read(ask_market()[1] if shared is None else shared.get(INCREASES, since, ask_market, clock), PriceIncrease)
