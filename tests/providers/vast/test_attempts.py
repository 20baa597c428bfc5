"""What a create writes into the ledger, in which order, and what it makes of what stands there."""

import pytest

from bootstrap import errors as host_errors
from bootstrap.services import Progress
from providers.ledger.event import Event, Outcome, Reason
from providers.vast.api import errors
from providers.vast.api.instance import Instance
from providers.vast.create import Served, bring_online
from providers.vast.instance_request import InstanceRequest
from providers.vast.limits import Limits
from providers.vast.renting.renter import Renter
from providers.vast.search.requirements import Requirements
from tests.doubles.clock import FakeClock
from tests.doubles.ledger import FakeLedger
from tests.doubles.market import FakeMarket, offer, raising

LABEL = "gpu-fleet/abc/chat-0"
ORDER = InstanceRequest("chat-0", LABEL, Requirements(("RTX 4090",), 1, 0.5, 20, 1), "image", "true", 8443)


class FakeBootstrap:
    """Goes through two phases, then serves, or raises what the n-th call is told to."""

    def __init__(self, *outcomes: BaseException | None) -> None:
        self.outcomes = list(outcomes)

    def serve(self, instance: Instance, host_key: str, report_progress: Progress, deadline: float) -> Served:
        report_progress("connect", "in")
        report_progress("fetch weights", "1 GB")
        report_progress("fetch weights", "another line of the same phase")
        if self.outcomes and (error := self.outcomes.pop(0)):
            raise error
        return Served(instance, "https://203.0.113.7:48443", host_key, 0.0, {}, 0.1, download_mbps=750.0)


@pytest.fixture
def market() -> FakeMarket:
    return FakeMarket(FakeClock())


def online(market: FakeMarket, ledger: FakeLedger, *outcomes: BaseException | None) -> Served:
    return bring_online(
        Renter(market, market.clock, Limits()), ORDER, FakeBootstrap(*outcomes), lambda *_: None, ledger
    )


def failure(machine: int, at: float = 1_700_000_000.0) -> Event:
    return Event(
        at=at,
        stack_id="abc",
        name="chat-9",
        attempt="f",
        step=9,
        outcome=Outcome.FAILED,
        reason=Reason.BOOT,
        machine_id=machine,
    )


def test_an_attempt_is_written_down_from_the_announcement_to_the_end(market: FakeMarket) -> None:
    ledger = FakeLedger()

    served = online(market, ledger)

    assert ledger.outcomes == ["renting", "rented", "wait", "connect", "fetch weights", "served"]
    first, last = ledger.events[0], ledger.events[-1]
    assert last.phases == served.seconds
    assert {"rent", "wait", "connect"} <= last.phases.keys()
    assert (first.offer_id, first.machine_id, first.instance_id) == (1, 1001, None)
    assert (last.offer_id, last.machine_id, last.instance_id) == (1, 1001, served.instance.id)
    assert (last.download_mbps, last.advertised_mbps) == (750.0, 900.0)
    assert last.boot_seconds is not None
    assert last.boot_seconds >= 30
    # The GPU costs nothing while it loads: the disk does, and the image's traffic.
    assert last.image_usd == pytest.approx(11.4 * 0.001)
    assert last.usd == pytest.approx(last.image_usd + 20 * 0.1 / 720 * last.boot_seconds / 3600, rel=0.01)
    assert len({event.attempt for event in ledger.events}) == 1
    assert [event.step for event in ledger.events] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_a_boot_is_written_down_in_seconds_of_the_market(scale: float) -> None:
    market, ledger = FakeMarket(FakeClock(), boot_seconds=600 / scale), FakeLedger()

    served = bring_online(
        Renter(market, market.clock, Limits().at(scale)), ORDER, FakeBootstrap(), lambda *_: None, ledger
    )

    [seconds] = ledger.machine_histories()[served.instance.machine_id or 0].boot_seconds
    assert 600 <= seconds < 600 + 2 * Limits().boot_look_seconds + 5 * scale


def test_money_is_announced_before_it_is_spent_and_the_end_before_giving_back(market: FakeMarket) -> None:
    seen: dict[str, list[str]] = {}
    ledger = FakeLedger(before_each=lambda event: seen.setdefault(event.outcome.value, [c for c, _ in market.calls]))

    online(market, ledger, host_errors.PreflightFailed("gpu", "no GPU"))

    assert "rent" not in seen["renting"]
    assert "rent" in seen["rented"]
    assert "destroy" not in seen["failed"]
    assert "destroy" in seen["given-back"]


def test_every_failure_is_one_attempt_with_its_machine_and_reason(market: FakeMarket) -> None:
    ledger = FakeLedger()
    market.before["rent"] = [raising(errors.OfferGone(1, "taken"))]

    online(market, ledger, host_errors.HostUnreachable("port 22 is closed"))

    outcomes = [(event.outcome.value, event.machine_id, event.reason and event.reason.value) for event in ledger.events]
    assert ("taken", 1001, "taken") in outcomes
    assert ("failed", 1002, "unreachable") in outcomes
    assert ("given-back", 1002, None) in outcomes
    # The market's double goes on listing what it refused once, and a machine that was taken has not failed.
    assert ("served", 1001, None) in outcomes
    assert len({event.attempt for event in ledger.events}) == 3


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (host_errors.EngineRefused("unrecognized arguments"), Reason.ARGUMENTS),
        (ZeroDivisionError(), Reason.UNFORESEEN),
        (KeyboardInterrupt(), Reason.INTERRUPTED),
    ],
)
def test_what_ends_a_create_is_told_and_blames_no_machine(
    market: FakeMarket, error: BaseException, reason: Reason
) -> None:
    ledger = FakeLedger()

    with pytest.raises(type(error)):
        online(market, ledger, error)

    failed = next(event for event in ledger.events if event.outcome is Outcome.FAILED)
    assert failed.reason is reason
    assert ledger.outcomes[-1] == "given-back"
    assert ledger.machine_histories() == {}


def test_a_rental_that_is_still_there_is_told(market: FakeMarket) -> None:
    ledger = FakeLedger()
    market.before["destroy"] = [raising(errors.OutcomeUnknown("destroy", "500"))] * 1000

    with pytest.raises(errors.StillRented):
        online(market, ledger, host_errors.HostUnreachable("closed"))

    assert ledger.outcomes[-1] == "still-rented"
    assert "MAY STILL BE RENTED" in ledger.events[-1].message


def test_a_refused_rent_call_ends_its_attempt(market: FakeMarket) -> None:
    ledger = FakeLedger()
    market.before["rent"] = [raising(errors.NoCredit("no credit"))]

    with pytest.raises(errors.NoCredit):
        online(market, ledger)

    assert ledger.outcomes == ["renting", "failed"]


def test_an_adopted_instance_is_an_attempt_without_a_measured_boot(market: FakeMarket) -> None:
    ledger = FakeLedger()
    market.add(LABEL, offer(9))

    online(market, ledger)

    assert ledger.outcomes[0] == "adopted"
    assert ledger.outcomes[-1] == "served"
    assert (ledger.events[-1].boot_seconds, ledger.events[-1].download_mbps) == (None, None)


def test_a_machine_that_failed_before_is_avoided_until_its_time_is_over(market: FakeMarket) -> None:
    assert online(market, FakeLedger(failure(1001))).instance.machine_id == 1002
    long_ago = failure(1003, at=1_700_000_000.0 - 8 * 24 * 3600)
    market.offers = [offer(3)]
    assert online(FakeMarket(FakeClock(), [offer(3)]), FakeLedger(long_ago)).instance.machine_id == 1003


def test_a_machine_that_failed_before_is_tried_where_nothing_else_fits(market: FakeMarket) -> None:
    market.offers = [offer(1)]

    assert online(market, FakeLedger(failure(1001))).instance.machine_id == 1001


def test_a_message_is_cut(market: FakeMarket) -> None:
    ledger = FakeLedger()

    online(market, ledger, host_errors.HostUnreachable("x" * 10_000))

    assert max(len(event.message) for event in ledger.events) == 600
