"""`gpu-fleet status`: state and market side by side, totals, and nothing secret."""

from typing import Any

import pytest

from cli.status import Report, described, report_of
from cli.tables import since
from providers.vast.api.instance import Instance

NOW = 1_800_000_000.0


def resource(name: str, number: int, **outputs: Any) -> dict[str, Any]:
    return {
        "type": "pulumi-python:dynamic/vast:Instance",
        "id": str(number),
        "urn": f"urn:pulumi:dev::gpu-fleet::x::{name}",
        "inputs": {"label": f"gpu-fleet/abc/{name}"},
        "outputs": {
            "name": name,
            "instanceId": number,
            "endpoint": f"https://192.0.2.1:{number}",
            "machine": {"gpuName": "RTX 4090", "gpuCount": 1, "country": "NO"},
            "usdPerHour": 0.3,
            "chargedUsdPerHour": 0.31,
            "createdAt": NOW - 5400,
            "drift": [],
            "token": {"4dabf18193072939515e22adb298388d": "1b47", "ciphertext": "v1:a:b"},
            **outputs,
        },
    }


def listed(number: int, **row: Any) -> Instance:
    return Instance(id=number, label="gpu-fleet/abc/x", actual_status="running", geolocation="Norway, NO", **row)


DEPLOYMENT = {"resources": [resource("chat-1", 12), resource("chat-0", 11)]}


def test_what_runs_is_shown_in_the_order_of_names_with_its_price() -> None:
    report = report_of("dev", DEPLOYMENT, [listed(11), listed(12)])

    lines = described(report, NOW)
    assert lines[0].split("  ")[0] == "name"
    assert " ".join(lines[1].split()) == (
        "chat-0 11 RTX 4090 Norway, NO running https://192.0.2.1:11 $0.310 2027-01-15 06:30 (1 h 30 min)"
    )
    assert lines[2].startswith("chat-1")
    assert lines[3] == "2 instances, $0.620/h together"
    assert "v1:a:b" not in "".join(lines)


def test_an_instance_that_the_market_lists_no_more_costs_nothing_and_is_named() -> None:
    report = report_of("dev", DEPLOYMENT, [listed(11)])

    assert [row.status for row in report.instances] == ["running", "gone"]
    assert report.usd_per_hour == pytest.approx(0.31)
    assert "The market lists chat-1 no more" in "\n".join(described(report, NOW))


def test_a_silent_market_makes_nothing_gone() -> None:
    report = report_of("dev", DEPLOYMENT, [], "503")

    assert {row.status for row in report.instances} == {"unknown"}
    assert report.usd_per_hour == pytest.approx(0.62)
    assert "The market does not answer, so no status is known: 503" in described(report, NOW)


def test_what_carries_the_label_and_is_in_no_state_is_named() -> None:
    report = report_of("dev", DEPLOYMENT, [listed(11), listed(12), listed(13)])

    assert report.unknown_to_state == (13,)
    assert "label: 13. `gpu-fleet sweep`" in described(report, NOW)[-1]


def test_drift_is_said_below_the_table() -> None:
    drifted = {"resources": [resource("chat-0", 11, drift=["unreachable: no route"])]}

    assert "chat-0: unreachable: no route" in described(report_of("dev", drifted, [listed(11)]), NOW)


@pytest.mark.parametrize(("stack", "command"), [("local", "`make up`"), ("dev", "`pulumi up --stack dev`")])
def test_an_empty_stack_says_what_fills_it(stack: str, command: str) -> None:
    assert command in described(Report(stack, (), ()), NOW)[0]


def test_a_row_that_the_market_does_not_fill_is_shown_all_the_same() -> None:
    bare = {"resources": [resource("chat-0", 11, machine=None, endpoint=None, drift=None, createdAt=None)]}

    assert described(report_of("dev", bare, [Instance(id=11, label=None)]), NOW)[1].startswith("chat-0")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (3660, "1 h 1 min"), (90000, "1 d 1 h")],
)
def test_durations_have_two_units(seconds: float, text: str) -> None:
    assert since(seconds) == text


def test_the_controller_is_named_where_it_is_known() -> None:
    report = Report("local", (), (), controller={"url": "http://127.0.0.1:18809"})

    assert "The controller of elastic fleets answers at http://127.0.0.1:18809" in described(report, NOW)
    assert not any("controller" in line for line in described(Report("local", (), ()), NOW))


SLOT = "dev.slot.burst-0"


def pending(name: str) -> dict[str, Any]:
    row = {"type": "pulumi-python:dynamic/vast:Instance", "urn": name, "inputs": {"label": f"gpu-fleet/abc/{name}"}}
    return {"resources": [], "pending_operations": [{"type": "creating", "resource": row}]}


def of_id(deployment: dict[str, Any]) -> dict[str, Any]:
    identity = {"type": "pulumi-python:dynamic/identity:Identity", "id": "abc", "outputs": {"stackId": "abc"}}
    return {"resources": [identity, *deployment.get("resources", [])]}


def named(number: int, name: str) -> Instance:
    return Instance(id=number, label=f"gpu-fleet/abc/{name}", actual_status="running", geolocation="Norway, NO")


def test_slots_are_shown_with_the_fixed_instances_and_named_as_slots() -> None:
    rows = [listed(11), listed(12), named(21, "burst-s0")]

    report = report_of("dev", of_id(DEPLOYMENT), rows, "", {SLOT: {"resources": [resource("burst-s0", 21)]}})

    assert [(row.name, row.slot) for row in report.instances] == [("burst-s0", SLOT), ("chat-0", ""), ("chat-1", "")]
    assert report.unknown_to_state == ()
    text = "\n".join(described(report, NOW))
    assert "3 instances, $0.930/h together" in text
    assert "Slots of elastic fleets, which the controller starts and ends: burst-s0" in text


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (pending("burst-s0"), "dev.slot.burst-0: an `up` is creating its instance"),
        ("failed to load checkpoint: EOF", "its state cannot be read (failed to load checkpoint: EOF)"),
    ],
)
def test_what_a_slot_creates_or_may_know_is_not_unknown(state: Any, says: str) -> None:
    report = report_of("dev", of_id({}), [named(21, "burst-s0"), named(22, "burst-s1")], "", {SLOT: state})

    assert report.unknown_to_state == (22,)
    assert says in "\n".join(described(report, NOW))


def test_a_slot_s_stack_without_an_instance_is_named_with_the_command_that_removes_it() -> None:
    lines = described(report_of("dev", of_id({}), [], "", {SLOT: {}}), NOW)

    assert lines[-1] == "Slot dev.slot.burst-0: no instance; `gpu-fleet sweep --destroy` removes the stack"
