"""Our client and renting rules against the emulated market, thresholds and lags included; tests/live is its twin."""

import uuid
from pathlib import Path

import pytest

from providers.engine_watch import EngineWatch, WatchedClock
from providers.vast import errors
from providers.vast.client import VastClient
from providers.vast.limits import Limits
from providers.vast.offers import query, rank
from providers.vast.pace import NoPace, SharedPace
from providers.vast.renting import give_back, rent, rent_body
from sandbox.testing import RunningMarket, running_market
from tests.doubles import market_contract
from tests.doubles.market_contract import WISHES

CLOCK = WatchedClock(EngineWatch(None, ()))


def client(market: RunningMarket, key: str | None = None, pace: SharedPace | None = None) -> VastClient:
    return VastClient(market.url, key or market.key, pace or NoPace(), CLOCK, time_scale=market.time_scale)


def limits(market: RunningMarket) -> Limits:
    return Limits().at(market.time_scale)


def label() -> str:
    return f"gpu-fleet/test/{uuid.uuid4().hex[:8]}"


def test_the_contract_holds_at_the_published_thresholds(tmp_path: Path) -> None:
    with running_market(thresholds=True) as market:
        pace = SharedPace(tmp_path, market.time_scale)

        market_contract.reading(client(market, pace=pace))
        market_contract.renting(client(market, pace=pace), CLOCK, limits(market), label())

        assert market.books.usd_per_hour() == 0


def test_a_lost_reply_ends_with_one_instance() -> None:
    with running_market() as market:
        vast, mark = client(market), label()
        best = rank(vast.search(query(WISHES)), WISHES)[0]
        market.arm("lost-create-reply")

        instance_id = rent(vast, CLOCK, limits(market), best, rent_body("image", 16, mark, "true", 8443))

        assert [row.id for row in vast.instances(mark)] == [instance_id]
        give_back(vast, CLOCK, limits(market), instance_id)
        assert market.books.usd_per_hour() == 0


def test_a_taken_offer_is_gone() -> None:
    with running_market() as market:
        vast = client(market)
        best = rank(vast.search(query(WISHES)), WISHES)[0]
        market.arm("offer-taken")

        with pytest.raises(errors.OfferGone):
            rent(vast, CLOCK, limits(market), best, rent_body("image", 16, label(), "true", 8443))

        assert market.books.usd_per_hour() == 0


def test_a_429_is_waited_out() -> None:
    with running_market() as market:
        market.arm("rate-limited", times=3)

        assert client(market).search(query(WISHES))


def test_a_wrong_key_is_no_empty_account() -> None:
    with running_market() as market, pytest.raises(errors.CredentialsRefused, match="gpu-fleet:vastApiKey"):
        client(market, key="wrong").instances()
