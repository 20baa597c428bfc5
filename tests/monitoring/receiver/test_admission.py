"""What a host may write: its own series under its own name, of now, in a bounded number."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.receiver.admission import (
    AHEAD_SECONDS,
    BEHIND_SECONDS,
    FORCED,
    FORGET_SECONDS,
    MOST_SERIES,
    Known,
    Sender,
    admit,
    own_labels,
)
from monitoring.receiver.rate import BURST_SAMPLES, SAMPLES_A_SECOND, Allowance
from monitoring.receiver.wire import MOST_PACKED, MOST_UNPACKED, Malformed, Written, pack, unpack

NOW = 1_800_000_000.0
ME = Sender("7", "chat-0", "abc")
NAME = "vast_instance_state"


def written(at: float = NOW, name: str = NAME, value: float = 1.0, **labels: str) -> Written:
    said = {"__name__": name, "job": "agent", **labels}
    return Written(tuple(sorted(said.items())), ((value, int(at * 1000)),))


texts = st.text(max_size=20)


@given(st.lists(st.tuples(texts, texts), max_size=8))
def test_whatever_a_host_says_what_is_stored_carries_its_own_name(labels: list[tuple[str, str]]) -> None:
    stored = own_labels([*labels, ("__name__", NAME), ("job", "agent")], ME)

    if stored is not None:
        assert {name: dict(stored)[name] for name in FORCED} == ME.labels
        assert list(stored) == sorted(stored)


def test_another_hosts_name_is_overwritten() -> None:
    forged = {
        "__name__": NAME,
        "job": "agent",
        "instance_id": "8",
        "name": "chat-1",
        "fleet": "other",
        "stack_id": "xyz",
    }

    assert dict(own_labels(tuple(forged.items()), ME) or ()) == forged | ME.labels


@pytest.mark.parametrize(
    "labels",
    [
        {"__name__": "vast_cost_usd_total", "job": "agent"},
        {"__name__": "vast_instance_cost_per_hour", "job": "agent"},
        {"__name__": "vast_instance_info", "job": "agent"},
        {"__name__": "vast_exporter_last_success_timestamp_seconds", "job": "agent"},
        {"__name__": "vast_door_refused_total", "job": "agent"},
        {"__name__": "ALERTS", "job": "agent"},
        {"__name__": "up", "job": "exporter"},
        {"__name__": "fleet:usd_per_hour:sum", "job": "agent"},
        {"__name__": NAME, "job": "exporter"},
        {"__name__": NAME},
        {"job": "agent"},
        {"__name__": NAME, "job": "agent", "reason": "x" * 300},
        {"__name__": NAME, "job": "agent", **{f"l{n}": "x" for n in range(30)}},
    ],
    ids=lambda labels: str(labels.get("__name__", "none")),
)
def test_what_is_not_a_hosts_to_say_is_refused(labels: dict[str, str]) -> None:
    assert own_labels(tuple(labels.items()), ME) is None
    admitted = admit([Written(tuple(labels.items()), ((1.0, int(NOW * 1000)),)), written()], ME, Known(), NOW)
    assert admitted.refused == {"label": 1}
    assert len(admitted.series) == 1


def test_a_label_said_twice_is_refused() -> None:
    assert own_labels((("__name__", NAME), ("job", "agent"), ("job", "vllm")), ME) is None


@pytest.mark.parametrize(
    ("offset", "reason"),
    [(AHEAD_SECONDS + 1, "clock"), (7200, "clock"), (-BEHIND_SECONDS - 1, "age"), (0, None), (-600, None), (30, None)],
)
def test_another_time_is_refused_and_the_rest_of_the_request_is_not(offset: float, reason: str | None) -> None:
    admitted = admit([written(NOW + offset), written(name="vast_gpu_info")], ME, Known(), NOW)

    assert admitted.refused == ({reason: 1} if reason else {})
    assert len(admitted.series) == (1 if reason else 2)
    assert admitted.lag_seconds == pytest.approx(min(0, -offset) if offset > 0 else 0)


def test_a_flood_of_series_leaves_those_that_were_known() -> None:
    known = Known()
    admit([written(state=str(n)) for n in range(MOST_SERIES)], ME, known, NOW)

    late = admit([written(state="new"), written(state="0")], ME, known, NOW + 1)
    assert (late.refused, len(late.series)) == ({"series": 1}, 1)

    later = NOW + FORGET_SECONDS + 2
    assert len(admit([written(later, state="new")], ME, known, later).series) == 1


def test_a_flood_of_samples_waits_and_an_outage_may_be_caught_up() -> None:
    allowance = Allowance()
    assert allowance.take(int(BURST_SAMPLES), 0.0) == 0
    assert allowance.take(100, 0.0) == pytest.approx(100 / SAMPLES_A_SECOND)
    assert allowance.take(100, 1.0) == 0
    assert allowance.take(int(BURST_SAMPLES) * 2, 2.0) > 0


rows = st.lists(
    st.builds(
        Written,
        st.lists(st.tuples(texts, texts), max_size=4).map(tuple),
        st.lists(st.tuples(st.floats(allow_nan=False), st.integers(-(2**40), 2**42)), max_size=3).map(tuple),
    ),
    max_size=6,
)


@given(rows)
def test_what_was_packed_unpacks(series: list[Written]) -> None:
    assert unpack(pack(series)) == series


@given(st.binary(max_size=200))
def test_rubbish_is_malformed_or_a_request_and_never_anything_else(body: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert isinstance(unpack(body), list)


def test_what_is_too_large_is_not_unpacked() -> None:
    with pytest.raises(Malformed, match="larger than"):
        unpack(b"x" * (MOST_PACKED + 1))
    bomb = pack([written(state="a" * (MOST_UNPACKED + 1))])
    assert len(bomb) < MOST_PACKED
    with pytest.raises(Malformed, match="unpacks to more"):
        unpack(bomb)
