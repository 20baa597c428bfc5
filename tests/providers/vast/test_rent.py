"""Renting: every doubt is settled by the label, and whoever rented gives back."""

from collections.abc import Callable

import pytest

from providers.engine_watch import EngineGone
from providers.vast.api import errors
from providers.vast.instance_request import rent_body
from providers.vast.limits import Limits
from providers.vast.renting.give_back import give_back
from providers.vast.renting.look import is_absent
from providers.vast.renting.rent import rent, settle
from providers.vast.renting.renter import Renter
from providers.vast.renting.wait import wait_until_running
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer, raising

LIMITS = Limits()
BODY = rent_body("image", 20, "gpu-fleet/s/chat-0", "true", 8443)
LOST = errors.OutcomeUnknown("rent", "time-out")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def market(clock: FakeClock) -> FakeMarket:
    return FakeMarket(clock)


def test_the_rent_call_is_on_demand_and_refused_rather_than_left_stopped() -> None:
    assert "price" not in BODY
    assert BODY["cancel_unavail"] is True
    assert BODY["label"] == "gpu-fleet/s/chat-0"


def test_a_lost_reply_is_found_by_its_label_and_not_rented_again(clock: FakeClock, market: FakeMarket) -> None:
    market.after["rent"] = [raising(LOST)]

    instance_id = rent(Renter(market, clock, LIMITS), offer(1), BODY)

    assert list(market.rows) == [instance_id]
    assert [call for call, _ in market.calls].count("rent") == 1


def test_a_reply_lost_before_it_took_effect_is_tried_again_after_the_whole_lag(
    clock: FakeClock, market: FakeMarket
) -> None:
    market.before["rent"] = [raising(LOST)]

    instance_id = rent(Renter(market, clock, LIMITS), offer(1), BODY)

    assert list(market.rows) == [instance_id]
    assert clock.now >= LIMITS.settle_seconds


def test_an_instance_that_shows_late_is_adopted_not_rented_again(clock: FakeClock, market: FakeMarket) -> None:
    def hide_then_lose(instance_id: int) -> None:
        row = market.rows.pop(instance_id)
        market.before["list"] = [None] * 5 + [lambda _label: market.rows.update({instance_id: row})]
        raise LOST

    market.after["rent"] = [hide_then_lose]

    assert rent(Renter(market, clock, LIMITS), offer(1), BODY) in market.rows
    assert len(market.rows) == 1


@pytest.mark.parametrize(
    "refused", [lambda left: errors.OfferGone(1, "taken", left), lambda left: errors.NoCredit("no credit", left)]
)
def test_a_contract_left_behind_by_a_refusal_is_given_back(
    clock: FakeClock, market: FakeMarket, refused: Callable[[int], errors.VastError]
) -> None:
    error = refused(market.add(BODY["label"], offer(1)))
    market.before["rent"] = [raising(error)]

    with pytest.raises(type(error)):
        rent(Renter(market, clock, LIMITS), offer(1), BODY)

    assert market.rows == {}


def test_an_engine_that_dies_while_a_reply_is_lost_leaves_nothing_rented(clock: FakeClock, market: FakeMarket) -> None:
    def hide(instance_id: int) -> None:
        row = market.rows.pop(instance_id)
        market.before["list"] = [None, None, lambda _label: market.rows.update({instance_id: row})]
        clock.gone_at = clock.now + 1
        raise LOST

    market.after["rent"] = [hide]

    with pytest.raises(EngineGone):
        rent(Renter(market, clock, LIMITS), offer(1), BODY)

    assert market.rows == {}


def test_an_instance_on_another_machine_is_not_what_a_lost_reply_rented(clock: FakeClock, market: FakeMarket) -> None:
    others = market.add(BODY["label"], offer(9))
    market.after["rent"] = [raising(LOST)]

    instance_id = rent(Renter(market, clock, LIMITS), offer(1), BODY)

    assert instance_id != others
    assert market.rows.keys() == {others, instance_id}


def test_a_doubt_that_cannot_be_settled_names_the_label(clock: FakeClock, market: FakeMarket) -> None:
    market.after["rent"] = [raising(LOST)]
    market.before["list"] = [raising(errors.CredentialsRefused("key"))]

    with pytest.raises(errors.OutcomeUnknown, match="gpu-fleet/s/chat-0 may be rented"):
        rent(Renter(market, clock, LIMITS), offer(1), BODY)


def test_settling_takes_the_lowest_id(clock: FakeClock, market: FakeMarket) -> None:
    first = market.add("label", offer(1))
    market.add("label", offer(2))

    assert settle(Renter(market, clock, LIMITS), "label")[0].id == first


def test_waiting_ends_with_the_running_instance(clock: FakeClock, market: FakeMarket) -> None:
    instance_id = market.add("label", offer(1))

    running = wait_until_running(Renter(market, clock, LIMITS), instance_id, "label", 8443, LIMITS.boot_seconds)

    assert running.address(8443) == ("127.0.0.1", 48443)
    assert market.boot_seconds is not None
    assert market.boot_seconds <= clock.now < market.boot_seconds + 2 * LIMITS.boot_look_seconds


def test_waiting_gives_up_at_its_deadline(clock: FakeClock, market: FakeMarket) -> None:
    market.never_boots.add(1001)
    instance_id = market.add("label", offer(1))

    with pytest.raises(errors.RentalFailed, match="not running after"):
        wait_until_running(Renter(market, clock, LIMITS), instance_id, "label", 8443, LIMITS.boot_seconds)

    assert clock.now < LIMITS.boot_seconds + 2 * LIMITS.boot_look_seconds


def test_absence_needs_two_looks_that_agree(clock: FakeClock, market: FakeMarket) -> None:
    instance_id = market.add("label", offer(1))
    row = market.rows.pop(instance_id)
    market.before["show"] = [lambda _id: market.rows.update({instance_id: row})]

    assert not is_absent(Renter(market, clock, LIMITS), instance_id)


def test_giving_back_goes_on_until_the_market_confirms(clock: FakeClock, market: FakeMarket) -> None:
    instance_id = market.add("label", offer(1))
    market.before["destroy"] = [
        raising(errors.OutcomeUnknown("destroy", "502")),
        raising(errors.RateLimited("destroy")),
    ]

    give_back(Renter(market, clock, LIMITS), instance_id)

    assert market.rows == {}


def test_giving_back_works_on_without_an_engine(market: FakeMarket, clock: FakeClock) -> None:
    clock.gone_at = 0
    instance_id = market.add("label", offer(1))
    market.before["destroy"] = [raising(errors.OutcomeUnknown("destroy", "502"))]

    give_back(Renter(market, clock, LIMITS), instance_id)

    assert market.rows == {}


@pytest.mark.parametrize(
    "error", [errors.CredentialsRefused("the key was revoked"), errors.OutcomeUnknown("destroy", "500")]
)
def test_what_cannot_be_given_back_says_what_it_costs_and_the_command(
    clock: FakeClock, market: FakeMarket, error: errors.VastError
) -> None:
    instance_id = market.add("label", offer(1))
    market.before["destroy"] = [raising(error)] * 1000

    with pytest.raises(errors.StillRented) as raised:
        give_back(Renter(market, clock, LIMITS), instance_id, 0.31)

    assert f"INSTANCE {instance_id} MAY STILL BE RENTED at $0.310/h" in str(raised.value)
    assert f"vastai destroy instance {instance_id} -y" in str(raised.value)
