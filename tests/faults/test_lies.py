"""The answer that lies, as a table: each lie of the market, once and for good, in each operation. Whatever it is told, an
operation never drops what is rented from state, never rents a second machine, and never reports a success that is none.

Client, rules and market are the real ones over HTTP; the host behind an instance is a double that serves at once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest

from providers.engine_watch import UnwatchedClock
from providers.store.client import Keys
from providers.vast import lifecycle
from providers.vast.api import errors
from providers.vast.api.client import VastClient
from providers.vast.api.instance import Instance
from providers.vast.api.rate_limit import NoRateLimit
from providers.vast.create import Served
from providers.vast.lifecycle import OperationContext
from providers.vast.limits import Limits
from providers.vast.settings import InstanceSettings
from sandbox.testing import RunningMarket, running_market
from tests.doubles.scheduled_host import facts_of, settings_of

pytestmark = pytest.mark.rotating(of=12)

LIES = (
    "auth-error",
    "session-expired",
    "empty-body",
    "null-body",
    "empty-object",
    "proxy-page",
    "refused-with-200",
    "deprecated-route",
    "server-error",
    "bad-gateway",
    "unavailable",
    "lying-empty-list",
    "list-row-missing",
    "list-page-missing",
    "stale-list",
    "missing-in-show",
    "lost-create-reply",
    "create-error-but-rented",
    "duplicate-instance",
    "lost-destroy-reply",
    "destroy-without-effect",
    "destroy-404-but-alive",
)
# Answers that the client takes alike, as no answer: for good, a create waits for half a minute with each.
ALIKE = ("null-body", "empty-object", "server-error", "bad-gateway", "unavailable")
FOR_GOOD = 400
TIME_SCALE = 600.0
LABEL = "gpu-fleet/abc/chat-0"
CLOCK = UnwatchedClock()
Result = TypeVar("Result")


@dataclass(frozen=True)
class Host:
    """What `InstanceBootstrap` is to `lifecycle`: serves at once."""

    settings: InstanceSettings

    def serve(self, instance: Instance, host_key: str, _report_progress: object, _deadline: float = 0.0) -> Served:
        return Served(instance, "https://203.0.113.7:48443", host_key, 4e9, {"start": 0.0}, instance.dph_total or 0)

    def observe(self, *_words: object) -> Any:
        return facts_of(self.settings)

    def drain(self, *_words: object) -> None:
        """Nobody asks it anything."""


def _host(settings: InstanceSettings, *_more: object) -> Any:
    return Host(settings)


@dataclass(frozen=True)
class Place:
    """A market that lies, and the context of operations in it."""

    market: RunningMarket
    context: OperationContext
    settings: InstanceSettings

    @property
    def rented(self) -> list[int]:
        return [contract.id for contract in self.market.emulator.all() if contract.label == LABEL]


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    # What a bound in real time is for a market in real time, for one that runs 600 times as fast.
    limits = replace(Limits().at(TIME_SCALE), destroy_seconds=1.5, outage_seconds=2.0)
    monkeypatch.setattr(InstanceSettings, "to_limits", lambda _self: limits)
    with running_market(time_scale=TIME_SCALE) as market:
        client = VastClient(market.url, market.key, NoRateLimit(), CLOCK, time_scale=market.time_scale)
        context = OperationContext(client, CLOCK, Keys("", ""), lambda *_: None, hosting=_host)
        yield Place(market, context, settings_of("chat-0", 0))
        client.close()


def attempt(operation: Callable[[], Result]) -> tuple[Result | None, str]:
    """Return what an operation returned, or None and what it said instead."""
    try:
        return operation(), ""
    except errors.VastError as error:
        return None, str(error)


CREATES = [
    pytest.param(lie, times, marks=pytest.mark.deep) if lie in ALIKE and times == FOR_GOOD else (lie, times)
    for lie in LIES
    for times in (1, FOR_GOOD)
]


@pytest.mark.parametrize(("lie", "times"), CREATES)
def test_create_ends_with_one_instance_or_says_what_is_left(place: Place, lie: str, times: int) -> None:
    place.market.arm(lie, times)
    outs, said = attempt(lambda: lifecycle.create(place.settings, place.context))
    left = place.rented
    if outs is not None:
        assert left == [outs["instanceId"]]
    else:
        assert len(left) <= 1
        assert all(str(number) in said or LABEL in said for number in left), said


@pytest.mark.parametrize("times", [1, FOR_GOOD])
@pytest.mark.parametrize("lie", LIES)
def test_read_never_says_that_what_is_rented_is_gone(place: Place, lie: str, times: int) -> None:
    outs = lifecycle.create(place.settings, place.context)
    place.market.arm(lie, times)
    seen, said = attempt(lambda: lifecycle.read(outs["instanceId"], place.settings, outs, place.context))
    assert seen is not None or said
    if seen is not None:
        assert not [drift for drift in seen["drift"] if drift.startswith(("status", "surplus"))]
    assert place.rented == [outs["instanceId"]]


@pytest.mark.parametrize("times", [1, FOR_GOOD])
@pytest.mark.parametrize("lie", LIES)
def test_update_changes_the_instance_or_nothing(place: Place, lie: str, times: int) -> None:
    outs = lifecycle.create(place.settings, place.context)
    place.market.arm(lie, times)
    wanted = settings_of("chat-0", 1)
    updated, said = attempt(lambda: lifecycle.update(outs["instanceId"], place.settings, wanted, outs, place.context))
    assert updated is not None or said
    if updated is not None:
        assert updated["instanceId"] == outs["instanceId"]
    assert place.rented == [outs["instanceId"]]


@pytest.mark.parametrize("times", [1, FOR_GOOD])
@pytest.mark.parametrize("lie", LIES)
def test_delete_is_confirmed_or_says_what_still_costs(place: Place, lie: str, times: int) -> None:
    outs = lifecycle.create(place.settings, place.context)
    place.market.arm(lie, times)
    _none, said = attempt(lambda: lifecycle.delete(outs["instanceId"], place.settings, outs, place.context))
    assert place.rented == [] or f"INSTANCE {outs['instanceId']} MAY STILL BE RENTED at $" in said
