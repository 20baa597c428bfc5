"""Bounds of time: slow boots are waited for, what cannot end in time is not begun, the total follows from size and line."""

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap import errors as host_errors
from bootstrap.services import Progress
from providers.ledger.machine_history import MachineHistory
from providers.vast.api import errors
from providers.vast.api.instance import Instance
from providers.vast.create import Served, bring_online
from providers.vast.limits import Limits
from providers.vast.preview_plan import report_plan
from providers.vast.renting.renter import Renter
from providers.vast.renting.wait import wait_until_running
from providers.vast.search import start_time
from providers.vast.search.deadline import least_seconds
from providers.vast.settings import InstanceSettings
from sandbox.market.records.machines import generate
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer
from tests.doubles.settings import PROPS
from tests.doubles.slow_boots import LIMITS, ORDER, Serves, given_up

MINUTE = 60.0
PART = 64 * 2**20


def settings(limits: dict[str, Any], gb: float, mbps: float = 100) -> InstanceSettings:
    props = copy.deepcopy(PROPS)
    size = int(gb * 1e9)
    props["model"]["files"][0] |= {"size": size, "parts": ["0" * 64] * -(-size // PART)}
    return InstanceSettings.from_props({**props, "limits": limits, "wishes": {**props["wishes"], "downloadMbps": mbps}})


class Talking(FakeMarket):
    """A market whose machine never runs and says another thing until a moment."""

    until = 0.0

    def passes(self) -> None:
        super().passes()
        for row in self.rows.values():
            row["status_msg"] = f"layer {min(self.clock.now, self.until):.0f}: Extracting"


@pytest.mark.parametrize(("talks_until", "ends"), [(0.0, 40.0), (15.0, 40.0), (30.0, 50.0), (39.0, 59.0), (90.0, 60.0)])
def test_a_boot_is_waited_for_40_minutes_and_60_where_its_message_changes(talks_until: float, ends: float) -> None:
    market = Talking(FakeClock())
    market.never_boots.add(1001)
    market.until = talks_until * MINUTE
    number = market.add("label", offer(1))

    with pytest.raises(errors.RentalFailed, match="not running after"):
        wait_until_running(Renter(market, market.clock, LIMITS), number, "label", 8443, 1e9)

    assert market.clock.now == pytest.approx(ends * MINUTE, abs=2 * LIMITS.boot_look_seconds)


@given(st.floats(0, 1e6), st.floats(0, 1e5), st.floats(1, 1e4))
def test_the_end_of_a_boot_lies_between_its_two_bounds_and_never_comes_nearer(
    born: float, later: float, boot: float
) -> None:
    limits = Limits(boot_seconds=boot)

    assert born + boot <= limits.boot_ends(born, born + later) <= born + 1.5 * boot + 1e-6
    assert limits.boot_ends(born, born + later) >= limits.boot_ends(born, born)


def test_no_boot_of_5_to_35_minutes_is_given_up() -> None:
    assert sum(given_up(seed) for seed in range(200)) == 0


@pytest.mark.parametrize("mbps", [50, 100, 300, 1000])
def test_no_healthy_boot_of_the_emulated_market_is_given_up(mbps: float) -> None:
    machine = replace(next(one for one in generate(1) if one.gpu.name == "RTX 4090"), num_gpus=1, inet_down=mbps)
    market = FakeMarket(
        FakeClock(),
        [replace(machine, cuda=13.0, disk_gb=500, direct_ports=9, verification="verified")],
        boot_seconds=None,
    )
    order = replace(
        ORDER, image="vllm/vllm-openai:v0.32.0", requirements=replace(ORDER.requirements, max_usd_per_hour=2)
    )

    served = bring_online(Renter(market, market.clock, LIMITS), order, Serves(), lambda *_: None)

    assert (served.attempts, len(market.emulator.all())) == (1, 1)
    assert served.seconds["wait"] > start_time.transfer_seconds(11.4, mbps)


def test_the_double_finds_a_bound_that_is_too_short() -> None:
    assert sum(given_up(seed, replace(LIMITS, boot_seconds=10 * MINUTE)) for seed in range(20)) > 0


def test_the_total_follows_from_size_and_line_and_is_two_hours_at_least() -> None:
    small, large = (settings({}, gb).to_limits().at(1).total_seconds for gb in (0.1, 140))

    assert small >= 120 * MINUTE
    assert large >= small + start_time.transfer_seconds(139, 100)
    assert settings({}, 140, 1000).to_limits().total_seconds < large


def test_old_states_keep_what_they_say() -> None:
    old = settings({"bootMinutes": 15, "totalMinutes": 45}, 16).limits

    assert (old.boot_minutes, old.total_minutes) == (15, 45)
    assert settings({"totalMinutes": 45}, 16).to_limits().total_seconds == 45 * MINUTE


@pytest.mark.parametrize("gb", [16, 140, 1400])
def test_an_instance_bears_an_hour_of_silence_at_most_and_more_than_a_creator_ever_keeps(gb: float) -> None:
    limits = settings({}, gb).to_limits()

    assert limits.unattended_seconds <= 60 * MINUTE
    assert limits.unattended_seconds > 1.5 * (limits.host_key_seconds + limits.connect_seconds)
    assert settings({"totalMinutes": 8}, gb).to_limits().unattended_seconds == 10 * MINUTE


class FailsLate:
    """A machine that takes its time and then fails."""

    def __init__(self, clock: FakeClock, seconds: float) -> None:
        self.clock, self.seconds = clock, seconds

    def serve(self, _instance: Instance, _host_key: str, _report_progress: Progress, _deadline: float) -> Served:
        self.clock.sleep(self.seconds)
        raise host_errors.HostUnreachable("closed")


def test_an_attempt_that_cannot_end_before_the_deadline_is_not_begun() -> None:
    market = FakeMarket(FakeClock())
    limits = replace(LIMITS, total_seconds=60 * MINUTE)

    with pytest.raises(errors.RentalFailed, match=r"no machine that fits can end in the \d min that are left"):
        bring_online(Renter(market, market.clock, limits), ORDER, FailsLate(market.clock, 55 * MINUTE), lambda *_: None)

    assert [call for call, _ in market.calls].count("rent") == 1
    assert market.rows == {}


def test_of_the_offers_only_those_that_can_end_are_tried() -> None:
    market = FakeMarket(FakeClock(), [offer(1, inet_down=20), offer(2)])
    limits = replace(LIMITS, total_seconds=60 * MINUTE)

    with pytest.raises(errors.RentalFailed):
        bring_online(Renter(market, market.clock, limits), ORDER, FailsLate(market.clock, 55 * MINUTE), lambda *_: None)

    assert [argument for call, argument in market.calls if call == "rent"] == [2]


def test_what_was_measured_counts_where_it_is_less() -> None:
    slow = offer(1, inet_down=100)
    seen = MachineHistory(boot_seconds=(60.0,), download_mbps=(800.0,))

    assert least_seconds(slow, ORDER.requirements) == pytest.approx((11.4 + 16) * 8000 / 100 + 26 / 0.2)
    assert least_seconds(slow, ORDER.requirements, seen) == 60 + 16 * 8000 / 800


@pytest.mark.parametrize(
    ("gb", "mbps", "total", "late"), [(16, 1000, 45, False), (140, 200, 45, True), (140, 0, 45, False)]
)
def test_the_preview_says_when_the_weights_cannot_come_in_time(gb: float, mbps: float, total: int, late: bool) -> None:
    refusal = start_time.too_late(gb, mbps, start_time.IMAGE_GB, 1, total * MINUTE)

    assert (refusal is not None) == late
    assert refusal is None or "raise one of the two" in refusal


@pytest.mark.parametrize(
    ("image", "gb"),
    [
        ("vllm/vllm-openai:v0.32.0", 11.4),
        ("docker.io/vllm/vllm-openai-cpu:v0.32.0", 1.0),
        ("vllm/vllm-openai-cpu@sha256:" + "0" * 64, 1.0),
        ("registry.example:5000/own/image", 11.4),
    ],
)
def test_an_image_that_the_table_lacks_counts_as_vllms_own(image: str, gb: float) -> None:
    assert start_time.image_gb(image) == gb


@pytest.mark.parametrize(("limits", "late"), [({"totalMinutes": 45}, True), ({}, False)])
def test_a_preview_of_large_weights_says_so(
    limits: dict[str, Any], late: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    report_plan(settings(limits, 140, 200), [offer(1)])

    assert ("the weights (140.0 GB) 93 min, but limits.totalMinutes is 45" in capsys.readouterr().out) == late
