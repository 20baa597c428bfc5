"""What is never written against a machine: our own deadline, an image that does not exist."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bootstrap import errors as host_errors
from bootstrap.services import Progress
from providers.ledger.event import Outcome, Reason
from providers.vast.api import errors
from providers.vast.api.instance import Failed, Instance, classify
from providers.vast.create import Served, bring_online
from providers.vast.limits import Limits
from providers.vast.renting.renter import Renter
from sandbox.market.records.registries import NO_SUCH_TAG
from tests.doubles.clock import FakeClock
from tests.doubles.ledger import FakeLedger
from tests.doubles.market import FakeMarket
from tests.doubles.slow_boots import ORDER
from tests.providers.vast.test_lives import machine

LIMITS = replace(Limits(), total_seconds=3600.0, attempts=1)
GONE = "Error response from daemon: manifest for x:1 not found: manifest unknown: manifest unknown"


class Ends:
    """A bootstrap that works for some seconds, and then raises."""

    def __init__(self, clock: FakeClock, seconds: float, error: Exception) -> None:
        self.clock, self.seconds, self.error = clock, seconds, error

    def serve(self, _instance: Instance, _host_key: str, _report_progress: Progress, _deadline: float) -> Served:
        self.clock.sleep(self.seconds)
        raise self.error


@pytest.mark.parametrize(
    "fault",
    [
        lambda: host_errors.HostUnreachable("port 22 is closed"),
        lambda: host_errors.EngineDied("vLLM did not answer"),
        lambda: host_errors.StepFailed("`python3` did not end in time"),
        lambda: host_errors.PreflightFailed("slow", "12 Mb/s", 12.0),
        lambda: errors.RentalFailed(501, "lost", "it vanished"),
    ],
)
@pytest.mark.parametrize("over", [False, True])
def test_what_comes_after_our_deadline_blames_no_machine(fault: Callable[[], Exception], over: bool) -> None:
    market, ledger = FakeMarket(FakeClock()), FakeLedger()
    error = fault()
    bootstrap = Ends(market.clock, 3600.0 if over else 60.0, error)

    with pytest.raises(errors.RentalFailed) as raised:
        bring_online(Renter(market, market.clock, LIMITS), ORDER, bootstrap, lambda *_: None, ledger)

    assert str(error) in str(raised.value)
    assert ("limits.totalMinutes" in str(raised.value)) == over
    assert (raised.value.reason == "time") == over
    [failed] = [event for event in ledger.events if event.outcome is Outcome.FAILED]
    assert (failed.reason is Reason.TIME) == over
    assert bool(ledger.machine_histories()) != over
    assert market.rows == {}


@pytest.mark.parametrize(
    "text",
    [
        GONE,
        "Error: failed to resolve reference: MANIFEST_UNKNOWN",
        "no matching manifest for linux/amd64 in the manifest list entries",
        "Error response from daemon: invalid reference format",
        "repository name not known to registry",
    ],
)
def test_an_image_that_does_not_exist_is_ours(text: str) -> None:
    state = classify(Instance(id=1, actual_status="loading", status_msg=text), 8443)

    assert isinstance(state, Failed)
    assert state.reason == "ours"
    assert text in state.message
    assert not Reason(state.reason).blames_machine


def test_an_image_that_does_not_exist_ends_the_create_at_the_first_machine() -> None:
    market, ledger = FakeMarket(FakeClock()), FakeLedger()
    market.messages |= dict.fromkeys(range(1001, 1006), GONE)

    with pytest.raises(
        errors.ImageMissing, match=r"manifest unknown.*no further one is tried.*Check the fleet's image"
    ):
        bring_online(
            Renter(market, market.clock, Limits()), ORDER, Ends(market.clock, 0, AssertionError()), print, ledger
        )

    assert market.rows == {}
    assert [call for call, _ in market.calls].count("rent") == 1
    assert ledger.machine_histories() == {}


def test_a_tag_that_no_registry_has_costs_one_machine_its_boot() -> None:
    market = FakeMarket(FakeClock(), [machine(number) for number in (1, 2, 3)], boot_seconds=None)
    requirements = replace(ORDER.requirements, max_usd_per_hour=2)
    order = replace(ORDER, image=f"vllm/vllm-openai:{NO_SUCH_TAG}", requirements=requirements)

    with pytest.raises(errors.ImageMissing):
        bring_online(
            Renter(market, market.clock, Limits()), order, Ends(market.clock, 0, AssertionError()), lambda *_: None
        )

    assert market.emulator.all() == []
    assert len(market.emulator.current_and_ended()) == 1
