"""When a host ends itself, on a virtual clock: never while it is used or in doubt, and always once nobody uses it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootstrap.scripts import self_destruct_rules as rules
from tests.doubles.served_host import LOOK_TAKES, Request, ServedHost, look

MINUTE, HOUR = 60.0, 3600.0
IDLE = rules.Limits(idle=30 * MINUTE)
SLACK = 2 * (rules.LOOK_SECONDS + LOOK_TAKES) + rules.SETTLE_SECONDS + 1


def test_a_host_ends_once_nobody_was_served_for_its_idle_minutes() -> None:
    host = ServedHost(IDLE, [Request(300, 20)])

    host.run(2 * HOUR)

    assert host.gone_at is not None
    assert 320 + 30 * MINUTE <= host.gone_at <= 320 + 30 * MINUTE + SLACK
    assert host.why == rules.IDLE


def test_a_host_that_nobody_ever_asked_ends_after_its_idle_minutes_too() -> None:
    host = ServedHost(IDLE, starts=400)

    host.run(2 * HOUR)

    assert host.gone_at is not None
    assert 400 + 30 * MINUTE <= host.gone_at <= 400 + 30 * MINUTE + SLACK


def test_loading_is_not_idleness() -> None:
    host = ServedHost(IDLE, starts=3 * HOUR)

    host.run(3 * HOUR)

    assert host.gone_at is None
    assert host.closed == []


def test_a_vllm_that_started_again_has_all_its_idle_minutes_before_it() -> None:
    host = ServedHost(IDLE, down=[(25 * MINUTE, 50 * MINUTE)])

    host.run(3 * HOUR)

    assert host.gone_at is not None
    assert 80 * MINUTE <= host.gone_at <= 80 * MINUTE + SLACK


def test_a_request_that_arrives_while_the_end_is_decided_is_answered_and_the_gate_opens_again() -> None:
    quiet = ServedHost(IDLE)
    quiet.run(2 * HOUR)
    [(closed_at, _)] = quiet.closed
    for before in (0.0, 0.001, LOOK_TAKES / 2, LOOK_TAKES):  # the last ones fall between the gauge and the log
        for takes in (0.001, 0.4, 2 * HOUR):
            host = ServedHost(IDLE, [Request(closed_at - before, takes)])

            host.run(closed_at + 60)

            assert host.requests[0].admitted
            assert host.gone_at is None, (before, takes)
            assert host.is_open


def test_a_stream_longer_than_the_time_out_is_not_cut() -> None:
    host = ServedHost(IDLE, [Request(60, 5 * HOUR)])

    host.run(8 * HOUR)

    assert host.gone_at is not None
    assert host.gone_at >= 60 + 5 * HOUR + 30 * MINUTE
    assert host.closed == [(host.closed[0][0], float("inf"))]


def test_a_gpu_that_works_keeps_the_host_although_no_request_shows() -> None:
    host = ServedHost(IDLE, gpu_works=[(0, 4 * HOUR)])

    host.run(4 * HOUR)

    assert host.gone_at is None


def test_unknown_is_not_idle() -> None:
    host = ServedHost(IDLE, unknown=[(100, 5 * HOUR)])

    host.run(5 * HOUR)

    assert host.gone_at is None
    assert host.closed == []


def test_time_that_is_unknown_only_in_part_counts_as_far_as_it_is_known() -> None:
    host = ServedHost(IDLE, unknown=[(minute * MINUTE, minute * MINUTE + 15) for minute in range(600)])

    host.run(3 * HOUR)

    assert host.gone_at is not None
    assert host.gone_at > 40 * MINUTE


def test_a_gate_whose_gauge_is_silent_after_it_closed_opens_again() -> None:
    quiet = ServedHost(IDLE)
    quiet.run(2 * HOUR)
    closed_at = quiet.closed[0][0]
    host = ServedHost(IDLE, unknown=[(closed_at, closed_at + 5)])

    host.run(closed_at + 30)

    assert host.gone_at is None
    assert host.is_open


def test_a_process_that_did_not_run_for_long_has_seen_nothing_of_that_time() -> None:
    state = rules.begin(look(0))
    state, _ = rules.step(state, look(10), IDLE)
    state, action = rules.step(state, look(5 * HOUR), IDLE)

    assert action is rules.Action.NOTHING
    assert state.idle == 10


def test_a_clock_that_goes_backwards_adds_nothing() -> None:
    state = rules.begin(look(100))
    state, _ = rules.step(state, look(50), IDLE)

    assert state.idle == 0


def test_the_market_is_asked_until_the_host_is_gone_and_the_gate_stays_closed() -> None:
    host = ServedHost(IDLE, [Request(40 * MINUTE, 5)], market_obeys_at=6)

    host.run(3 * HOUR)

    pauses = [later - earlier for earlier, later in zip(host.tries, host.tries[1:], strict=False)]
    assert len(host.tries) == 6
    assert 10 <= pauses[0] <= 22
    assert all(60 <= pause <= 72 for pause in pauses[1:])
    assert not host.requests[0].admitted
    assert not host.is_open


def test_a_gate_that_somebody_opens_while_the_host_ends_is_closed_again() -> None:
    host = ServedHost(IDLE, market_obeys_at=50)
    state = host.run(31 * MINUTE)
    assert state.phase == rules.ENDING
    host.is_open = True

    host.run(host.now + 12, state)

    assert not host.is_open


def test_a_host_that_restarts_while_it_ends_goes_on_with_that() -> None:
    host = ServedHost(IDLE, market_obeys_at=4)
    state = host.run(31 * MINUTE)
    assert len(host.tries) < 4

    host.run(2 * HOUR, host.restart(state))

    assert host.gone_at is not None
    assert not host.is_open


def test_a_host_that_restarts_before_is_closed_and_waits_for_an_operator() -> None:
    host = ServedHost(IDLE)
    state = host.run(29 * MINUTE)

    host.run(5 * HOUR, host.restart(state))

    assert host.gone_at is None


def test_an_operator_at_work_holds_the_end_back() -> None:
    host = ServedHost(IDLE, attention=[28 * MINUTE + 60 * each for each in range(120)])

    host.run(140 * MINUTE)

    assert host.gone_at is None
    assert host.closed == []


def test_an_operator_who_comes_after_the_last_look_finds_the_gate_open() -> None:
    quiet = ServedHost(IDLE)
    quiet.run(2 * HOUR)
    closed_at = quiet.closed[0][0]
    host = ServedHost(IDLE, attention=[closed_at - LOOK_TAKES / 2])

    host.run(closed_at + 20)

    assert host.closed == []
    assert host.gone_at is None


def test_an_operator_who_found_the_gate_closed_opens_it_and_nobody_else() -> None:
    quiet = ServedHost(IDLE)
    quiet.run(2 * HOUR)
    closed_at = quiet.closed[0][0]
    host = ServedHost(IDLE, attention=[closed_at + 0.1])

    state = host.run(closed_at + 20)

    assert host.gone_at is None
    assert state.phase == rules.WATCHING
    assert not host.is_open


# Work on the GPU that is shorter than the time between two looks is not seen; a request of any length is.
SPANS = st.lists(st.tuples(st.floats(0, 2 * HOUR), st.floats(12, HOUR)), max_size=5)


def ends(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(begin, begin + seconds) for begin, seconds in spans]


@settings(max_examples=60, deadline=None)
@given(
    requests=st.lists(st.tuples(st.floats(0, 2 * HOUR), st.sampled_from([0.001, 0.3, 5, 90, 2400, 7000])), max_size=10),
    unknown=SPANS,
    works=SPANS,
    attention=st.lists(st.floats(0, 2 * HOUR), max_size=4),
    renewals=st.lists(st.floats(0, 2 * HOUR), max_size=6),
    idle=st.sampled_from([None, MINUTE, 7 * MINUTE, 30 * MINUTE]),
    lease=st.sampled_from([None, 2 * MINUTE, 20 * MINUTE]),
    starts=st.floats(0, HOUR / 2),
    restart=st.one_of(st.none(), st.floats(0, 2 * HOUR)),
)
def test_no_history_cuts_a_request_or_ends_a_host_that_was_used_or_leaves_an_unused_one(
    *,
    requests: list[tuple[float, float]],
    unknown: list[tuple[float, float]],
    works: list[tuple[float, float]],
    attention: list[float],
    renewals: list[float],
    idle: float | None,
    lease: float | None,
    starts: float,
    restart: float | None,
) -> None:
    made = [Request(*one) for one in requests]
    host = ServedHost(
        rules.Limits(idle=idle, lease=lease),
        made,
        ends(unknown),
        ends(works),
        starts=starts,
        renewals=renewals,
        attention=attention,
    )
    if restart is not None:
        host.run(6 * HOUR, host.restart(host.run(restart)))
    else:
        host.run(6 * HOUR)

    assert not any(one.cut for one in host.requests)
    served = [one.end for one in host.requests if one.admitted]
    if host.gone_at is None:
        assert restart is not None or (idle, lease) == (None, None)
        return
    known_until = {rules.IDLE: idle or 0, rules.LEASE: min(rules.QUIET_SECONDS, lease or 0)}[host.why]
    for end in (*served, starts, *(end for begin, end in ends(works) if begin < host.gone_at)):
        if end <= host.gone_at:
            assert host.gone_at - end >= known_until
    if host.why == rules.LEASE:
        assert all(host.gone_at - one >= (lease or 0) for one in renewals if one < host.gone_at)


@pytest.mark.parametrize("left_out", ["SETTLE", "admitted", "busy", "open"])
def test_each_rule_of_the_fence_is_needed(left_out: str) -> None:
    """Leave one rule out, and a request that came while the end was decided is cut."""
    fence = look(1000, admitted=7)
    state = replace(rules.begin(fence), phase=rules.CLOSED, why=rules.IDLE, fence=fence)
    settled = look(1001, open=False, admitted=7)
    changed = {
        "SETTLE": replace(settled, at=1000.1),
        "admitted": replace(settled, admitted=8),
        "busy": replace(settled, busy=True),
        "open": replace(settled, open=True),
    }[left_out]

    assert rules.step(state, settled, IDLE)[1] is rules.Action.END
    assert rules.step(state, changed, IDLE)[1] is not rules.Action.END
