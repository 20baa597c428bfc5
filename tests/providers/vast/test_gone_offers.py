"""Offers that somebody else takes: each is tried once, and what else its list held is looked for anew."""

import pytest

from providers.vast.api import errors
from providers.vast.create import Served, bring_online
from providers.vast.instance_request import InstanceRequest
from providers.vast.limits import Limits
from providers.vast.renting.renter import Renter
from providers.vast.search.requirements import Requirements
from providers.vast.search.why_not import NoMatchingOffer
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer, raising
from tests.doubles.slow_boots import Serves

REQUIREMENTS = Requirements(("RTX 4090",), 1, max_usd_per_hour=0.5, disk_gb=20, weights_gb=1)
ORDER = InstanceRequest("chat-0", "gpu-fleet/s/chat-0", REQUIREMENTS, "image", "true", 8443)


def online(market: FakeMarket) -> Served:
    return bring_online(Renter(market, market.clock, Limits()), ORDER, Serves(), lambda *_: None)


def test_after_a_gone_offer_the_others_of_its_list_are_looked_for_anew() -> None:
    market = FakeMarket(FakeClock())

    def others_take_them(_id: int) -> None:
        market.offers = [offer(9)]
        raise errors.OfferGone(1, "taken")

    market.before["rent"] = [others_take_them]

    served = online(market)

    assert served.instance.machine_id == 1009
    assert [number for call, number in market.calls if call == "rent"] == [1, 9]  # none of the old list in vain


def test_offers_that_are_listed_and_gone_all_the_same_are_tried_once_each() -> None:
    market = FakeMarket(FakeClock())
    market.before["rent"] = [raising(errors.OfferGone(number, "taken")) for number in range(1, 6)]

    with pytest.raises(NoMatchingOffer, match="taken by somebody else"):
        online(market)

    assert [number for call, number in market.calls if call == "rent"] == [1, 2, 3, 4, 5]
