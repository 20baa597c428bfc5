"""Offers come from the search of `up`, under a key that cannot rent, and an unasked market stays unknown."""

from pathlib import Path

import pytest

from providers.vast.api import errors
from providers.vast.api.client import VastClient
from providers.vast.api.rate_limit import NoRateLimit
from providers.vast.search.search import check
from review.prospects import MOST_SEARCHES, NO_KEY, SHOWN, TOO_MANY, Look, fleet_review, looked, prices_of
from review.revision import StackRevision, read_revision
from review.tree import open_tree
from sandbox.testing import running_market
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer, raising
from tests.doubles.reviewed_repository import STACK, Repository


@pytest.fixture
def head(repository: Repository) -> StackRevision:
    repository.write_config()
    return read_revision(open_tree("worktree", repository.folder), STACK)


def market(count: int = 8) -> FakeMarket:
    return FakeMarket(FakeClock(), [offer(number) for number in range(1, count + 1)])


def test_a_fleet_has_the_offers_that_up_would_choose_from(head: StackRevision) -> None:
    asked = market()
    found = Look(asked).at(head, "chat")

    requirements = head.settings("chat", "chat-0", 0).to_requirements()
    assert list(found.offers) == check(market(), requirements)
    shown = fleet_review(found, elastic=False, rents=True, start_seconds=40.0)
    assert shown.fitting == len(found.offers) == 8
    assert len(shown.offers) == SHOWN
    prices = prices_of(found).values()
    assert (shown.cheapest, shown.dearest) == (round(min(prices), 6), round(max(prices), 6))
    first = shown.offers[0]
    assert (first.gpu, first.where, first.reliability, first.download_mbps) == ("1 x RTX 4090", "Texas, US", 0.99, 900)
    assert first.usd_per_hour == pytest.approx(next(iter(prices_of(found).values())))
    assert first.first_start_seconds == pytest.approx(
        11.4 * 8000 / 900 + 11.4 * (26 / 11.4) / 0.2 + 1.0 * 8000 / 900 + 40, rel=0.01
    )


def test_an_impossible_wish_is_refused_with_the_edit_that_helps_and_other_fleets_are_still_shown(
    repository: Repository,
) -> None:
    repository.set("fleets.batch.maxUsdPerHour", 0.2)
    repository.write_config()
    revision = read_revision(open_tree("worktree", repository.folder), STACK)
    found = looked(Look(market()), revision, ["chat", "batch"])

    batch = fleet_review(found["batch"], elastic=False, rents=True, start_seconds=None)
    assert batch.refusal.startswith("gpu-fleet:fleets.batch.maxUsdPerHour: no offer for")
    assert "raise" in batch.refusal
    assert batch.fitting == 0
    assert fleet_review(found["batch"], elastic=False, rents=False, start_seconds=None).refusal == ""
    assert found["chat"].offers


def test_without_a_key_nothing_is_known(head: StackRevision) -> None:
    shown = fleet_review(Look(None).at(head, "chat"), elastic=False, rents=True, start_seconds=None)

    assert (shown.fitting, shown.offers, shown.refusal, shown.trouble) == (None, (), "", NO_KEY)


def test_a_silent_market_is_asked_once(head: StackRevision) -> None:
    asked = market()
    asked.before["search"] = [raising(errors.OutcomeUnknown("search", "ReadTimeout"))]
    found = looked(Look(asked), head, ["chat", "batch"])

    assert asked.before["search"] == []
    assert all("does not answer" in one.trouble for one in found.values())
    assert fleet_review(found["batch"], elastic=False, rents=True, start_seconds=None).fitting is None


def test_a_head_with_many_fleets_does_not_use_up_the_account_s_searches(repository: Repository) -> None:
    plain = repository.config["fleets"]["chat"]
    repository.config["fleets"] = {
        **{f"f{number:02}": {**plain, "maxUsdPerHour": 1 + number / 100} for number in range(MOST_SEARCHES + 3)},
        "same": {**plain, "maxUsdPerHour": 1.0},
    }
    repository.write_config()
    revision = read_revision(open_tree("worktree", repository.folder), STACK)
    found = looked(Look(market()), revision, revision.config.fleets)

    assert [name for name, one in found.items() if one.trouble == TOO_MANY] == ["f16", "f17", "f18"]
    assert found["same"].offers == found["f00"].offers
    assert found["same"].fleet == "same"


def test_a_key_of_scope_misc_is_enough_to_review_and_cannot_rent(head: StackRevision, tmp_path: Path) -> None:
    with running_market() as running:
        key = running.account.keys.make("review", ["misc"], running.account.number).secret
        client = VastClient(running.url, key, NoRateLimit(), FakeClock(), time_scale=running.time_scale)

        found = Look(client).at(head, "chat")
        assert found.offers or found.refusal
        assert not found.trouble
        with pytest.raises(errors.CredentialsRefused):
            client.verify_key()
        with pytest.raises(errors.VastError, match="instance_write"):
            client.rent(found.offers[0].id if found.offers else 1, {"label": "gpu-fleet/x/chat-0"})
        assert running.emulator.usd_per_hour() == 0
