"""The market's contract against the real vast.ai: opt-in, because it needs an account and, for renting, money.

VAST_LIVE=read  VAST_API_KEY=... pytest -m live tests/live     # searches and lists; costs nothing
VAST_LIVE=rent  VAST_API_KEY=... pytest -m live tests/live     # rents one machine for some minutes: about $0.05
"""

import os
import uuid

import pytest

from config.market import DEFAULT_URL
from providers.engine_watch import EngineWatch, WatchedClock
from providers.vast.api.account_directory import account_directory
from providers.vast.api.client import VastClient
from providers.vast.api.rate_limit import SharedRateLimit
from providers.vast.limits import Limits
from tests.doubles import market_contract

pytestmark = [pytest.mark.live, pytest.mark.enable_socket]
MODE = os.environ.get("VAST_LIVE", "")
CLOCK = WatchedClock(EngineWatch(None, ()))


@pytest.fixture
def market() -> VastClient:
    key = os.environ.get("VAST_API_KEY", "")
    if not MODE or not key:
        pytest.skip("set VAST_LIVE=read or VAST_LIVE=rent, and VAST_API_KEY")
    return VastClient(DEFAULT_URL, key, SharedRateLimit(account_directory(DEFAULT_URL, key)), CLOCK)


def test_reading(market: VastClient) -> None:
    market_contract.reading(market)


def test_renting(market: VastClient) -> None:
    if MODE != "rent":
        pytest.skip("VAST_LIVE=rent allows this test to spend about $0.05")
    market_contract.renting(market, CLOCK, Limits(), f"gpu-fleet/live-test/{uuid.uuid4().hex[:8]}")
