"""`gpu-fleet drift`: its table, its exit statuses, and that no value of a property reaches it."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.drift import described, look
from cli.errors import CommandError
from providers.engine_events import Event, Step, parse
from providers.vast.pulumi_state import INSTANCE
from review.drift import GONE, DriftRow, drift_of, recorded_at

NOW = 1_800_000_000.0
RECORDED = {"chat-0": NOW - 7200}


def refreshed(operation: str, before: dict[str, Any], after: dict[str, Any] | None, name: str = "chat-0") -> Step:
    return Step(name, INSTANCE, operation, after or {}, before=before)


def test_each_line_of_drift_is_a_row_and_the_one_that_state_knew_has_its_time() -> None:
    old = "install: the gate's configuration was changed"
    before = {"drift": [old], "chargedUsdPerHour": 0.3}
    after = {**before, "drift": [old, "status: the market stopped it"], "downSince": NOW - 60}

    rows = drift_of([refreshed("update", before, after)], RECORDED)

    assert [(row.what, row.since) for row in rows] == [
        ("install: the gate's configuration was changed", NOW - 7200),
        ("status: the market stopped it", NOW - 60),
    ]
    assert {row.usd_per_hour for row in rows} == {0.3}


def test_drift_that_state_records_already_is_still_drift() -> None:
    same = {"drift": ["address: it moved from a to b"]}

    assert [row.what for row in drift_of([refreshed("same", same, same)], RECORDED)] == [
        "address: it moved from a to b"
    ]


def test_an_instance_that_is_gone_costs_nothing() -> None:
    assert drift_of([refreshed("delete", {"chargedUsdPerHour": 0.3}, None)], RECORDED) == (
        DriftRow(name="chat-0", what=GONE, usd_per_hour=0.0),
    )


def test_a_rise_is_drift_and_a_rounding_or_a_fall_is_not() -> None:
    def of(old: float, new: float) -> list[str]:
        step = refreshed("update", {"chargedUsdPerHour": old}, {"chargedUsdPerHour": new})
        return [row.what for row in drift_of([step], {})]

    assert of(0.3, 5.0) == ["price: charged $5.000/h, was $0.300/h"]
    assert of(0.3, 0.3001) == []
    assert of(0.3, 0.2) == []


def test_what_is_only_learned_of_an_instance_is_no_drift() -> None:
    step = refreshed(
        "update", {"account": None, "drift": []}, {"account": 7, "drift": [], "machine": {"country": "NO"}}
    )

    assert drift_of([step], {}) == ()


VALUES = st.text("abcdefghij", min_size=12, max_size=20)


@given(old=VALUES, new=VALUES, other=VALUES)
def test_no_value_of_a_property_reaches_a_row(old: str, new: str, other: str) -> None:
    steps = [
        refreshed(
            "update", {"token": old, "access": {"key": old}}, {"token": new, "drift": [], "access": {"key": other}}
        ),
        Step("store", "dynamic/store:Bucket", "update", {"keys": new, "__provider": other}, before={"keys": old}),
        Step("rentals", "dynamic/rentals:Rentals", "delete", before={"keys": other}),
    ]

    said = json.dumps([row.model_dump() for row in drift_of(steps, {})])

    assert [value for value in (old, new, other) if value in said] == []
    assert "__provider" not in said
    assert ("changed: keys" in said) == (old != new)
    assert "it is gone" in said


def engine(lines: Sequence[dict[str, Any]], status: int, complained: str = "") -> Callable[..., tuple[int, str]]:
    def call(words: Sequence[str], take: Callable[[Event | None], None]) -> tuple[int, str]:
        assert list(words[:3]) == ["refresh", "--preview-only", "--expect-no-changes"]
        for line in lines:
            take(parse(json.dumps(line)))
        return status, complained

    return call


def exported(_words: Sequence[str]) -> str:
    urn = "urn:pulumi:dev::gpu-fleet::x::chat-0"
    row = {"type": INSTANCE, "urn": urn, "modified": "2026-11-30T20:00:00.5Z"}
    return json.dumps({"deployment": {"resources": [row, {"type": INSTANCE, "urn": "x::chat-1"}]}})


def line(operation: str, old: dict[str, Any], new: dict[str, Any] | None) -> dict[str, Any]:
    metadata = {"urn": "urn:pulumi:dev::gpu-fleet::x::chat-0", "type": INSTANCE, "op": operation}
    return {"resOutputsEvent": {"metadata": metadata | {"old": {"outputs": old}, "new": new and {"outputs": new}}}}


def test_a_line_of_the_engine_becomes_a_row() -> None:
    rows = look("dev", engine([line("delete", {"chargedUsdPerHour": 0.3}, None)], 7), exported)

    assert [(row.name, row.what) for row in rows] == [("chat-0", GONE)]
    assert look("dev", engine([line("same", {}, {})], 0), exported) == ()


def test_times_in_state_are_read_and_a_missing_one_is_unknown() -> None:
    found = recorded_at(json.loads(exported([]))["deployment"])

    assert found == {"chat-0": 1796068800.5}


def test_a_look_that_failed_is_no_answer() -> None:
    failed = {"diagnosticEvent": {"urn": "a::chat-0", "severity": "error", "message": "chat-0: the market is down"}}
    with pytest.raises(CommandError, match="the drift of stack dev is not known") as raised:
        look("dev", engine([line("delete", {}, None), failed], 1), exported)
    assert "chat-0: the market is down" in str(raised.value)
    assert raised.value.exit_code == 1
    with pytest.raises(CommandError, match="passphrase must be set"):
        look("dev", engine([], 255, "error: passphrase must be set\n"), exported)


def test_the_table_says_since_when_and_what_helps() -> None:
    rows = (
        DriftRow(name="chat-0", what="status: the market stopped it", since=NOW - 3660, usd_per_hour=0.3),
        DriftRow(name="chat-1", what=GONE, usd_per_hour=0.0),
    )

    lines = described("dev", rows, NOW)

    assert [" ".join(one.split()) for one in lines] == [
        "instance what since $/h",
        "chat-0 status: the market stopped it 1 h 1 min $0.300",
        f"chat-1 {GONE} this look $0.000",
        (
            "Drift of chat-0, chat-1: `pulumi preview --refresh --stack dev` says what an update would do, "
            "`pulumi up --stack dev` does it."
        ),
    ]
    assert described("dev", (), NOW) == ["Nothing differs from the record of stack dev."]
