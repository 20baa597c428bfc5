"""Our client and renting rules against the emulated market, thresholds and lags included; tests/live is its twin."""

import json
import time
import uuid
from pathlib import Path

import httpx
import pytest

from providers.engine_watch import EngineWatch, WatchedClock
from providers.vast.api import errors
from providers.vast.api.client import VastClient
from providers.vast.api.rate_limit import NoRateLimit, SharedRateLimit
from providers.vast.instance_request import rent_body
from providers.vast.limits import Limits
from providers.vast.renting.give_back import give_back
from providers.vast.renting.rent import rent
from providers.vast.renting.renter import Renter
from providers.vast.search.query import query
from providers.vast.search.ranking import rank
from sandbox.testing import RunningMarket, running_market
from tests.doubles import market_contract
from tests.doubles.market_contract import REQUIREMENTS

pytestmark = pytest.mark.service

CLOCK = WatchedClock(EngineWatch(None, ()))


def client(market: RunningMarket, key: str | None = None, pace: SharedRateLimit | None = None) -> VastClient:
    return VastClient(market.url, key or market.key, pace or NoRateLimit(), CLOCK, time_scale=market.time_scale)


def limits(market: RunningMarket) -> Limits:
    return Limits().at(market.time_scale)


def label() -> str:
    return f"gpu-fleet/test/{uuid.uuid4().hex[:8]}"


def test_the_contract_holds_at_the_published_thresholds(tmp_path: Path) -> None:
    with running_market(thresholds=True) as market:
        pace = SharedRateLimit(tmp_path, market.time_scale)

        market_contract.reading(client(market, pace=pace))
        market_contract.renting(client(market, pace=pace), CLOCK, limits(market), label())

        assert market.emulator.usd_per_hour() == 0


def test_keys_with_the_documented_scopes_open_all_that_is_asked() -> None:
    with running_market() as market:
        keys, account = market.account.keys, market.account.number
        ours = keys.make("ours", ["misc", "instance_read", "instance_write", "user_read"], account).secret
        exporter = keys.make("exporter", ["instance_read", "billing_read"], account).secret

        market_contract.reading(client(market, ours))
        market_contract.renting(client(market, ours), CLOCK, limits(market), label())
        assert client(market, exporter).instances() == []
        assert client(market, exporter).charges(time.time() - 86_400, time.time()) != []

        with pytest.raises(errors.CredentialsRefused, match="This key lacks the scope billing_read"):
            client(market, ours).charges(0, time.time())
        with pytest.raises(errors.CredentialsRefused, match="This key lacks the scope instance_write"):
            client(market, exporter).rent(1, {})


def test_a_lost_reply_ends_with_one_instance() -> None:
    with running_market() as market:
        vast, mark = client(market), label()
        best = rank(vast.search(query(REQUIREMENTS)), REQUIREMENTS)[0]
        market.arm("lost-create-reply")

        instance_id = rent(Renter(vast, CLOCK, limits(market)), best, rent_body("image", 16, mark, "true", 8443))

        assert [row.id for row in vast.instances(mark)] == [instance_id]
        give_back(Renter(vast, CLOCK, limits(market)), instance_id)
        assert market.emulator.usd_per_hour() == 0


def test_a_taken_offer_is_gone() -> None:
    with running_market() as market:
        vast = client(market)
        best = rank(vast.search(query(REQUIREMENTS)), REQUIREMENTS)[0]
        market.arm("offer-taken")

        with pytest.raises(errors.OfferGone):
            rent(Renter(vast, CLOCK, limits(market)), best, rent_body("image", 16, label(), "true", 8443))

        assert market.emulator.usd_per_hour() == 0


def test_a_429_is_waited_out() -> None:
    with running_market() as market:
        market.arm("rate-limited", times=3)

        assert client(market).search(query(REQUIREMENTS))


def test_a_wrong_key_is_no_empty_account() -> None:
    with running_market() as market, pytest.raises(errors.CredentialsRefused, match="gpu-fleet:vastApiKey"):
        client(market, key="wrong").instances()


def test_charges_add_up_to_the_bill_ended_contracts_included() -> None:
    with running_market() as market:
        vast, marks = client(market), [label(), label()]
        found = rank(vast.search(query(REQUIREMENTS)), REQUIREMENTS)
        ids = [
            rent(Renter(vast, CLOCK, limits(market)), best, rent_body("image", 16, mark, "true", 8443))
            for best, mark in zip(found, marks, strict=False)
        ]
        give_back(Renter(vast, CLOCK, limits(market)), ids[0])
        since = time.time() - 86_400

        charges = vast.charges(since, since + 10 * 86_400)

        assert [(one.instance_id, one.metadata.label) for one in charges] == list(zip(ids, marks, strict=True))
        assert {item.type for one in charges for item in one.items} == {"gpu", "disk", "bwd", "bwu"}
        assert sum(one.amount for one in charges) == pytest.approx(market.emulator.usd_billed(), abs=0.02)
        assert vast.charges(since - 2 * 86_400, since - 86_400) == []
        give_back(Renter(vast, CLOCK, limits(market)), ids[1])


def test_charges_come_page_by_page() -> None:
    with running_market() as market:
        vast = client(market)
        for best in rank(vast.search(query(REQUIREMENTS)), REQUIREMENTS)[:3]:
            rent(Renter(vast, CLOCK, limits(market)), best, rent_body("image", 16, label(), "true", 8443))
        days = {"select_filters": json.dumps({"day": {"gte": 0, "lte": 9e9}}), "limit": "2"}
        headers = {"Authorization": f"Bearer {market.key}"}

        first = httpx.get(f"{market.url}/api/v0/charges/", params=days, headers=headers).json()
        second = httpx.get(
            f"{market.url}/api/v0/charges/", params={**days, "after_token": first["next_token"]}, headers=headers
        ).json()

        assert [len(page["results"]) for page in (first, second)] == [2, 1]
        assert second["next_token"] is None
        refused = httpx.get(f"{market.url}/api/v0/charges/", headers=headers)
        assert (refused.status_code, refused.json()["success"]) == (400, False)
