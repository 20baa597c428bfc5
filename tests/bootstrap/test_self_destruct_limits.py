"""Lease and lifetime of a host on a virtual clock: a lapsed lease ends an idle host, and the lifetime any host."""

from dataclasses import replace

import pytest

from bootstrap.scripts import self_destruct_rules as rules
from tests.doubles.served_host import LOOK_TAKES, Request, ServedHost, look

MINUTE, HOUR = 60.0, 3600.0
SLACK = 2 * (rules.LOOK_SECONDS + LOOK_TAKES) + rules.SETTLE_SECONDS + 1


def test_the_lifetime_ends_a_busy_host_too_and_gives_its_requests_half_a_minute() -> None:
    short, long = Request(2 * HOUR - 5, 12), Request(2 * HOUR - 5, HOUR)
    host = ServedHost(rules.Limits(lifetime=2 * HOUR), [short, long])

    host.run(4 * HOUR)

    assert host.gone_at is not None
    assert 2 * HOUR + rules.DRAIN_SECONDS <= host.gone_at <= 2 * HOUR + rules.DRAIN_SECONDS + SLACK
    assert not short.cut
    assert long.cut
    assert host.why == rules.LIFETIME


def test_the_lifetime_ends_a_host_that_loads_and_one_of_which_nothing_is_known() -> None:
    for host in (
        ServedHost(rules.Limits(lifetime=HOUR), starts=9 * HOUR),
        ServedHost(rules.Limits(lifetime=HOUR), unknown=[(0, 9 * HOUR)]),
    ):
        host.run(2 * HOUR)

        assert host.gone_at is not None
        assert host.gone_at <= HOUR + rules.DRAIN_SECONDS + SLACK


def test_a_lease_that_lapsed_ends_an_idle_host() -> None:
    renewed = [minute * MINUTE for minute in range(0, 90, 5)]
    host = ServedHost(rules.Limits(lease=15 * MINUTE), renewals=renewed)

    host.run(4 * HOUR)

    assert host.gone_at is not None
    assert 100 * MINUTE <= host.gone_at <= 100 * MINUTE + SLACK
    assert host.why == rules.LEASE


def test_a_lease_that_lapsed_does_not_end_a_busy_host() -> None:
    host = ServedHost(rules.Limits(lease=15 * MINUTE), [Request(60, 3 * HOUR)])

    host.run(8 * HOUR)

    assert host.gone_at is not None
    assert not host.requests[0].cut
    assert host.gone_at > 3 * HOUR + 60


def test_a_lease_renewed_while_the_end_is_decided_keeps_the_host() -> None:
    limits = rules.Limits(lease=15 * MINUTE)
    quiet = ServedHost(limits)
    quiet.run(HOUR)
    closed_at = quiet.closed[0][0]
    host = ServedHost(limits, renewals=[closed_at + 0.1])

    host.run(closed_at + 20)

    assert host.gone_at is None
    assert host.is_open


def test_a_lease_does_not_keep_a_host_beyond_its_idle_minutes() -> None:
    host = ServedHost(
        rules.Limits(idle=30 * MINUTE, lease=15 * MINUTE), renewals=[minute * MINUTE for minute in range(600)]
    )

    host.run(3 * HOUR)

    assert host.why == rules.IDLE


@pytest.mark.parametrize(
    ("saved", "now", "lives"),
    [
        (("a", 100.0, 50.0), ("a", 160.0), 110.0),
        (("a", 100.0, 50.0), ("b", 160.0), 50.0),  # the machine was started again
        (("a", 100.0, 50.0), ("a", 20.0), 50.0),  # the same, under a kernel that keeps its mark
    ],
)
def test_a_lifetime_goes_on_after_a_restart(
    saved: tuple[str, float, float], now: tuple[str, float], lives: float
) -> None:
    assert rules.lived(saved, *now) == lives


def test_a_gate_that_a_controller_closed_to_end_the_host_is_idle_behind_it() -> None:
    """Its controller may be dead for good; the host then ends itself as one with an open gate does."""
    left = look(0.0, open=False, left=True)

    assert left.idle
    assert not replace(left, left=False).idle
    assert not replace(left, busy=None).idle
    assert not replace(left, answers=False).idle


def test_a_host_that_its_dead_controller_left_closed_ends_when_its_lease_has_lapsed() -> None:
    limits = rules.Limits(lease=15 * MINUTE)
    state, taken = rules.begin(look(0.0)), []
    for second in range(10, 1800, 10):
        state, action = rules.step(state, look(float(second), open=False, left=True), limits)
        taken.append((second, action))

    assert next(second for second, action in taken if action is rules.Action.END) in range(900, 930)
