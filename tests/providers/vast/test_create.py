"""Bringing online: next offer on the host's fault, stop at once on ours, one instance a label, nothing left rented."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bootstrap import errors as host_errors
from bootstrap.services import Progress
from providers.engine_watch import EngineGone
from providers.vast.api import errors
from providers.vast.api.instance import Instance
from providers.vast.create import Served, bring_online
from providers.vast.instance_request import InstanceRequest
from providers.vast.limits import Limits
from providers.vast.renting.renter import Renter
from providers.vast.search.requirements import Requirements
from providers.vast.search.why_not import NoMatchingOffer
from tests.doubles.clock import FakeClock
from tests.doubles.market import HOST_KEY, FakeMarket, offer, raising

LABEL = "gpu-fleet/s/chat-0"
REQUIREMENTS = Requirements(("RTX 4090",), 1, max_usd_per_hour=0.5, disk_gb=20, weights_gb=1)
ORDER = InstanceRequest("chat-0", LABEL, REQUIREMENTS, "image", "true", 8443)


class FakeBootstrap:
    """Serves, or raises what the n-th call is told to."""

    def __init__(self, *outcomes: BaseException | None, during: Callable[[], None] | None = None) -> None:
        self.outcomes = list(outcomes)
        self.during = during
        self.served: list[int] = []

    def serve(self, instance: Instance, host_key: str, report_progress: Progress, deadline: float) -> Served:
        assert host_key == HOST_KEY
        self.served.append(instance.id)
        if self.during:
            self.during()
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome:
            raise outcome
        return Served(instance, "https://203.0.113.7:48443", host_key, 0.0, {"start": 1.0}, 0.1)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def market(clock: FakeClock) -> FakeMarket:
    return FakeMarket(clock)


def online(market: FakeMarket, bootstrap: FakeBootstrap, limits: Limits | None = None) -> Served:
    reported: list[str] = []
    return bring_online(
        Renter(market, market.clock, limits or Limits()),
        ORDER,
        bootstrap,
        lambda phase, text: reported.append(f"{phase} {text}"),
    )


def test_the_best_offer_is_rented_and_serves(market: FakeMarket) -> None:
    served = online(market, FakeBootstrap())

    assert list(market.rows) == [served.instance.id]
    assert served.instance.machine_id == 1001
    assert served.usd_per_hour == pytest.approx(0.31 + 20 * 0.1 / 720 + 0.001 / 8)
    assert served.seconds["wait"] >= 30


def test_an_offer_that_is_gone_costs_no_attempt(market: FakeMarket) -> None:
    market.before["rent"] = [raising(errors.OfferGone(1, "taken"))]

    served = online(market, FakeBootstrap(), Limits(attempts=1))

    assert served.instance.machine_id == 1002


@pytest.mark.parametrize(
    "fault", [host_errors.PreflightFailed("gpu", "no GPU"), host_errors.HostUnreachable("port 22 is closed")]
)
def test_the_hosts_fault_gives_back_and_takes_another_machine(
    market: FakeMarket, fault: host_errors.BootstrapError
) -> None:
    served = online(market, FakeBootstrap(fault))

    assert list(market.rows) == [served.instance.id]
    assert served.instance.machine_id == 1002
    assert served.attempts == 2


def test_our_key_is_attached_while_the_machine_boots_and_doubt_about_it_costs_nothing(market: FakeMarket) -> None:
    order = replace(ORDER, ssh_public_key="ssh-ed25519 AAAA us")
    market.before["attach"] = [raising(errors.OutcomeUnknown("ssh", "HTTP 502"))]
    served = bring_online(Renter(market, market.clock, Limits()), order, FakeBootstrap(), lambda *_: None)
    assert served.attempts == 1
    assert market.keys == {}

    market.rows.clear()
    again = bring_online(Renter(market, market.clock, Limits()), order, FakeBootstrap(), lambda *_: None)

    assert market.keys == {again.instance.id: {"ssh-ed25519 AAAA us"}}


class LateLog(FakeMarket):
    """A market whose logs are empty for some seconds, then noise, then half a line, then all of it."""

    def log(self, instance_id: int, lines: int = 1000) -> str:
        whole = super().log(instance_id, lines)
        since = self.rows[instance_id].age
        if since < 600:
            return ""
        noise = "Get:1 http://archive.example jammy InRelease\\rProgress: 50%\x1b[0m"
        return noise if since < 700 else f"{noise}{whole[:40]}" if since < 750 else f"{noise}{whole}{noise}"


def test_the_host_key_is_waited_for_as_long_as_apt_may_take(market: FakeMarket) -> None:
    late = LateLog(market.clock)

    served = online(late, FakeBootstrap())

    assert served.host_key == HOST_KEY
    assert served.attempts == 1


class Shows:
    """A host whose server shows one key, whatever is pinned."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.pinned: list[str] = []

    def serve(self, instance: Instance, host_key: str, _report_progress: Progress, _deadline: float) -> Served:
        self.pinned.append(host_key)
        if host_key != self.shown:
            raise host_errors.OtherHostKey(f"shows {self.shown}, not {host_key}")
        return Served(instance, "https://203.0.113.7:48443", host_key, 0.0, {"start": 1.0}, 0.1)


class Renewing(FakeMarket):
    """A market whose logs name another host key from the third look on."""

    looks = 0

    def log(self, instance_id: int, lines: int = 1000) -> str:
        text = super().log(instance_id, lines)
        self.looks += 1
        return text if self.looks < 3 else f"{text}gpu-fleet host key {NEW_KEY}\n"


NEW_KEY = "SHA256:" + "n" * 43


def test_a_host_key_that_was_made_anew_is_pinned_once_the_log_names_it(market: FakeMarket) -> None:
    host = Shows(NEW_KEY)

    served = bring_online(Renter(Renewing(market.clock), market.clock, Limits()), ORDER, host, lambda *_: None)

    assert (served.host_key, served.attempts) == (NEW_KEY, 1)
    assert host.pinned == [HOST_KEY, HOST_KEY, NEW_KEY]


def test_a_host_key_that_no_log_names_is_never_pinned(market: FakeMarket) -> None:
    host = Shows("SHA256:" + "x" * 43)

    with pytest.raises(errors.RentalFailed, match="shows SHA256:x"):
        bring_online(Renter(market, market.clock, replace(Limits(), attempts=2)), ORDER, host, lambda *_: None)

    assert set(host.pinned) == {HOST_KEY}
    assert market.rows == {}


def test_a_host_key_that_never_comes_costs_a_quarter_of_an_hour_and_a_machine(market: FakeMarket) -> None:
    class Mute(FakeMarket):
        def log(self, instance_id: int, lines: int = 1000) -> str:
            text = super().log(instance_id, lines)
            return "" if self.rows[instance_id]["machine_id"] == 1001 else text

    mute = Mute(market.clock)
    began = mute.clock.now

    served = online(mute, FakeBootstrap())

    assert served.instance.machine_id == 1002
    assert 15 * 60 < mute.clock.now - began < 20 * 60


def test_a_machine_that_never_boots_is_given_back(market: FakeMarket) -> None:
    market.never_boots.add(1001)

    served = online(market, FakeBootstrap())

    assert served.instance.machine_id == 1002
    assert len(market.rows) == 1


def test_our_fault_stops_at_once_with_nothing_rented(market: FakeMarket) -> None:
    with pytest.raises(host_errors.EngineRefused):
        online(market, FakeBootstrap(host_errors.EngineRefused("unrecognized arguments: --no")))

    assert market.rows == {}
    assert [call for call, _ in market.calls].count("rent") == 1


def test_attempts_end_and_tell_every_machine(market: FakeMarket) -> None:
    faults = [host_errors.HostUnreachable(f"machine {n} is closed") for n in range(3)]

    with pytest.raises(errors.RentalFailed) as raised:
        online(market, FakeBootstrap(*faults))

    assert market.rows == {}
    assert all(f"machine {n} is closed" in str(raised.value) for n in range(3))


def test_an_engine_that_dies_during_the_bootstrap_leaves_nothing_rented(market: FakeMarket, clock: FakeClock) -> None:
    def die() -> None:
        clock.gone_at = clock.now
        clock.sleep(0.5)

    with pytest.raises(EngineGone):
        online(market, FakeBootstrap(during=die))

    assert market.rows == {}


def test_an_unforeseen_error_leaves_nothing_rented(market: FakeMarket) -> None:
    with pytest.raises(ZeroDivisionError):
        online(market, FakeBootstrap(ZeroDivisionError()))

    assert market.rows == {}


def test_a_sound_instance_under_the_label_is_adopted(market: FakeMarket) -> None:
    orphan = market.add(LABEL, offer(9))

    served = online(market, FakeBootstrap())

    assert served.instance.id == orphan
    assert "rent" not in [call for call, _ in market.calls]


def test_unsound_and_surplus_instances_are_given_back(market: FakeMarket) -> None:
    market.add(LABEL, offer(7), image="another")
    kept = market.add(LABEL, offer(8))
    market.add(LABEL, offer(9))
    stranger = market.add("gpu-fleet/other/chat-0", offer(6))

    served = online(market, FakeBootstrap())

    assert served.instance.id == kept
    assert sorted(market.rows) == sorted([kept, stranger])


def test_two_creators_at_once_end_with_the_lowest_id(market: FakeMarket) -> None:
    older: list[int] = []

    def another_creator_shows_up() -> None:
        if not older:
            older.append(market.add(LABEL, offer(9)))
            market.rows[400] = market.rows.pop(older[0])

    served = online(market, FakeBootstrap(during=another_creator_shows_up))

    assert served.instance.id == 400
    assert list(market.rows) == [400]


def test_no_offer_says_what_would_have_to_give(market: FakeMarket) -> None:
    market.offers = [offer(1, dph_base=0.9)]

    with pytest.raises(NoMatchingOffer, match="raise maxUsdPerHour"):
        online(market, FakeBootstrap())


def test_when_giving_back_fails_the_cost_is_named(market: FakeMarket) -> None:
    market.before["destroy"] = [raising(errors.OutcomeUnknown("destroy", "500"))] * 1000

    with pytest.raises(errors.StillRented, match="MAY STILL BE RENTED"):
        online(market, FakeBootstrap(host_errors.HostUnreachable("closed")))


def test_what_was_tried_before_names_each_instance_once(market: FakeMarket) -> None:
    market.never_boots = {1001, 1002}
    with pytest.raises(errors.AttemptsExhausted) as raised:
        online(market, FakeBootstrap(host_errors.PreflightFailed("gpu", "no GPU")))

    lines = str(raised.value).splitlines()
    assert lines[0].startswith("chat-0 did not come online (3 of 3 attempts")
    assert [line.split(": ")[:2] for line in lines[1:4]] == [["Tried before", f"instance {n}"] for n in (501, 502, 503)]
    assert [line.count("instance") for line in lines[1:4]] == [1, 1, 1]
