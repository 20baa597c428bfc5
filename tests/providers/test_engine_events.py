"""What `pulumi up --json` prints becomes progress, sentences and an end; the engine's dumps do not get through."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.engine_events import Note, Progress, Step, Summary, Trouble, parse

URN = "urn:pulumi:local::gpu-fleet::gpu-fleet:components:Fleet$pulumi-python:dynamic/vast:Instance::chat-0"
INSTANCE = "pulumi-python:dynamic/vast:Instance"


def line(**event: Any) -> str:
    return json.dumps({"sequence": 1, "timestamp": 1_800_000_000, **event})


def diagnostic(message: str, severity: str = "info", urn: str = "") -> str:
    return line(diagnosticEvent={"urn": urn, "message": message, "color": "never", "severity": severity})


def test_a_providers_line_is_progress_without_the_engines_colours() -> None:
    said = "<{%reset%}>chat-0  fetch weights  0.2 of 0.3 MB, 12  Mb/s<{%reset%}>\n"

    assert parse(diagnostic(said)) == Progress("chat-0", "fetch weights", "0.2 of 0.3 MB, 12  Mb/s")


def test_any_other_line_is_a_note() -> None:
    assert parse(diagnostic("something else happened")) == Note("something else happened")


@pytest.mark.parametrize("severity", ["debug"])
def test_debug_lines_are_left_out(severity: str) -> None:
    assert parse(diagnostic("chat-0  rent  x", severity)) is None


def test_a_refused_input_is_the_reason_alone() -> None:
    said = (
        f"error: {INSTANCE} resource 'chat-0': property market value {{map[url:{{http://127.0.0.1:1}} timeScale:{{30}}]}} "
        "has a problem: gpu-fleet:fleets.chat.gpu.name: nobody lists 'RTX_4090'"
    )

    assert parse(diagnostic(said, "error", URN)) == Trouble(
        "chat-0", "gpu-fleet:fleets.chat.gpu.name: nobody lists 'RTX_4090'", True
    )
    bare = f"{INSTANCE} resource 'chat-0' has a problem: no offer\nnearest: 3"
    assert parse(diagnostic(bare, "error")) == Trouble("chat-0", "no offer\nnearest: 3", True)


def test_that_set_up_has_put_a_plugin_on_path_is_no_warning() -> None:
    assert parse(diagnostic("using pulumi-resource-x from $PATH at /a/b/pulumi-resource-x", "warning")) is None


def test_the_end_of_an_update_is_no_error_of_its_own() -> None:
    assert parse(diagnostic("update failed", "error")) is None


def test_a_warning_is_no_error() -> None:
    assert parse(diagnostic("warning: hosts will not report", "warning", URN)) == Trouble(
        "chat-0", "hosts will not report", False
    )


def metadata(operation: str, **new: Any) -> dict[str, Any]:
    return {"metadata": {"op": operation, "urn": URN, "type": INSTANCE, "old": None, "new": new or None}}


def test_steps_have_their_outputs_and_say_whether_they_failed() -> None:
    done = metadata("create", outputs={"endpoint": "https://192.0.2.1:1"})

    assert parse(line(resOutputsEvent=done)) == Step(
        "chat-0", INSTANCE, "create", {"endpoint": "https://192.0.2.1:1"}, failed=False
    )
    assert parse(line(resOpFailedEvent=metadata("delete"))) == Step("chat-0", INSTANCE, "delete", failed=True)
    assert parse(line(resourcePreEvent=metadata("create"))) is None


def test_the_summary_counts_and_the_command_lines_own_error_is_one() -> None:
    assert parse(line(summaryEvent={"durationSeconds": 21, "resourceChanges": {"create": 3}})) == Summary(
        {"create": 3}, 21.0
    )
    assert parse(line(errorEvent={"error": "the stack is locked"})) == Trouble("", "the stack is locked", True)


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_no_line_breaks_it(text: str) -> None:
    assert parse(text) is None
