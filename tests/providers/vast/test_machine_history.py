"""What events add up to: longer avoidance with each failure, an end to it always, and measurements before promises."""

import random

from hypothesis import assume, example, given
from hypothesis import strategies as st

from providers.ledger.event import Event, Outcome, Reason
from providers.ledger.machine_history import (
    AVOIDED_SECONDS,
    HALF_LIFE_SECONDS,
    LONGEST_AVOIDED_SECONDS,
    MachineHistory,
    avoided,
    fold,
)

MACHINE = 7
ends = st.builds(
    lambda at, attempt, machine, outcome, reason, mbps: Event(
        at=at,
        stack_id="s",
        name="chat-0",
        attempt=attempt,
        step=1,
        outcome=outcome,
        reason=reason if outcome is Outcome.FAILED else None,
        machine_id=machine,
        download_mbps=mbps,
    ),
    st.floats(0, 5e6),
    st.from_regex(r"[0-9a-f]{12}", fullmatch=True),
    st.integers(1, 4),
    st.sampled_from(Outcome),
    st.sampled_from(Reason),
    st.none() | st.floats(0, 10_000),
)
histories = st.lists(ends, max_size=40, unique_by=lambda event: event.key)


def failure(at: float, reason: Reason = Reason.BOOT) -> Event:
    return event(at, Outcome.FAILED, reason)


def event(at: float, outcome: Outcome, reason: Reason | None = None) -> Event:
    attempt = f"{int(at):x}"
    return Event(
        at=at,
        stack_id="s",
        name="chat-0",
        attempt=attempt,
        step=1,
        outcome=outcome,
        reason=reason,
        machine_id=MACHINE,
    )


@given(histories, st.randoms(use_true_random=False))
def test_the_order_and_repeats_do_not_matter(history: list[Event], chance: random.Random) -> None:
    shuffled = [*history, *history[:3]]
    chance.shuffle(shuffled)

    assert fold(shuffled) == fold(history)


@given(histories)
@example([failure(29168.517314495653)])
def test_every_avoidance_begins_with_a_failure_and_ends(history: list[Event]) -> None:
    for record in fold(history).values():
        if record.avoided_until is not None:
            assert record.last_failure is not None
            # Sums, not a difference: a difference of rounded floats may fall short of its bound.
            least, most = (record.last_failure + seconds for seconds in (AVOIDED_SECONDS, LONGEST_AVOIDED_SECONDS))
            assert least <= record.avoided_until <= most
    assert avoided(fold(history), 5e6 + LONGEST_AVOIDED_SECONDS) == {}


@given(histories, st.floats(0, 1e6))
def test_one_more_failure_never_shortens_the_time(history: list[Event], later: float) -> None:
    before = fold(history).get(1, MachineHistory())
    last = failure(5e6 + 1 + later).model_copy(update={"machine_id": 1})
    after = fold([*history, last])[1]

    assert after.avoided_until is not None
    assert after.avoided_until >= (before.avoided_until or 0)
    assert after.failed == before.failed + 1


@given(histories)
def test_a_success_ends_it_at_once(history: list[Event]) -> None:
    after = fold([*history, event(6e6, Outcome.SERVED)])

    assert MACHINE not in avoided(after, 6e6)


@given(st.integers(1, 60))
def test_the_time_doubles_with_each_failure_in_a_row_up_to_a_week(failures: int) -> None:
    record = fold([failure(float(second)) for second in range(failures)])[MACHINE]

    assert record.avoided_until is not None
    span = record.avoided_until - (failures - 1)
    # Within seconds hardly anything of a failure's weight is lost.
    expected = min(LONGEST_AVOIDED_SECONDS, AVOIDED_SECONDS * 2.0 ** (failures - 1))
    assert abs(span / expected - 1) < 0.01


def test_failures_of_long_ago_weigh_less() -> None:
    soon = fold([failure(0), failure(10)])[MACHINE]
    late = fold([failure(0), failure(4 * HALF_LIFE_SECONDS)])[MACHINE]

    assert soon.strikes > 1.99
    assert late.strikes == 1 + 1 / 16


@given(st.sampled_from([reason for reason in Reason if not reason.blames_machine]))
def test_what_is_not_the_machines_fault_is_not_held_against_it(reason: Reason) -> None:
    assert fold([failure(1, reason)]) == {}


@given(st.floats(0, 10_000), st.lists(st.floats(0, 10_000), max_size=20))
def test_a_belief_lies_between_promise_and_measurements_and_nearer_to_these(
    advertised: float, measured: list[float]
) -> None:
    record = MachineHistory(download_mbps=tuple(measured[-5:]))
    believed = record.believed_mbps(advertised)

    low, high = min([advertised, *measured]), max([advertised, *measured])
    assert low - 1e-6 <= believed <= high + 1e-6
    if len(measured) == 1:
        assume(abs(advertised - measured[0]) > 1e-3)
        assert abs(believed - measured[0]) < abs(believed - advertised)


@given(st.floats(0, 1), st.integers(0, 50), st.integers(0, 50))
def test_believed_reliability_moves_with_what_happened(advertised: float, served: int, failed: int) -> None:
    believed = MachineHistory(served=served, failed=failed).believed_reliability(advertised)

    assert 0 <= believed <= 1
    assert MachineHistory(served=served + 1, failed=failed).believed_reliability(advertised) >= believed - 1e-12
    assert MachineHistory(served=served, failed=failed + 1).believed_reliability(advertised) <= believed + 1e-12


def test_nothing_is_believed_but_the_promise_where_nothing_was_seen() -> None:
    assert MachineHistory().believed_mbps(900) == 900
    assert MachineHistory().believed_reliability(0.5) == 0.5
    assert MachineHistory().avoided_until is None
