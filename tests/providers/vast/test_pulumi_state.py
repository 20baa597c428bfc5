"""Reading what Pulumi knows: states whole, locked in the middle of an update, broken, and lists that fail."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from providers.vast.pulumi_state import (
    BackendError,
    StackState,
    family,
    run_pulumi,
    selected_stack,
    stack_config,
    state_of,
    states,
)
from tests.doubles.pulumi_command import path_with_pulumi

INSTANCE, IDENTITY = "pulumi-python:dynamic/vast:Instance", "pulumi-python:dynamic/identity:Identity"
RENTALS = "pulumi-python:dynamic/rentals:Rentals"


def resource(kind: str, name: str, number: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "urn": f"urn:pulumi:dev::gpu-fleet::{kind}::{name}", "id": number, **more}


DEPLOYMENT = {
    "resources": [
        {"type": "pulumi:pulumi:Stack", "urn": "urn:pulumi:dev::gpu-fleet::pulumi:pulumi:Stack::gpu-fleet-dev"},
        resource(IDENTITY, "identity", "abc", outputs={"stackId": "abc"}),
        resource(INSTANCE, "chat-0", "7", inputs={"label": "gpu-fleet/abc/chat-0"}, outputs={"account": 4711.0}),
        resource(RENTALS, "rentals", "abc", outputs={"account": 4711}),
        resource(INSTANCE, "chat-0", "6", inputs={"label": "gpu-fleet/abc/chat-0"}, delete=True),
    ],
    "pending_operations": [
        {"type": "creating", "resource": resource(INSTANCE, "chat-1", "")},
        {"type": "deleting", "resource": resource(INSTANCE, "chat-0", "7")},
        {"type": "creating", "resource": resource(IDENTITY, "identity", "")},
    ],
}


class Pulumi:
    """Answers by the first words of a command; an exception is raised."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def __call__(self, arguments: Sequence[str]) -> str:
        answer = self.answers["_".join(word for word in arguments[:2] if not word.startswith("-"))]
        if callable(answer):
            answer = answer(arguments[-1])
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, str) else json.dumps(answer)


def test_a_state_tells_what_it_knows_what_waits_to_be_deleted_and_what_is_being_created() -> None:
    state = state_of("dev", DEPLOYMENT)

    known, creating = {"chat-0": frozenset({6, 7})}, frozenset({"chat-1"})
    assert state == StackState("dev", "abc", known, creating, frozenset({4711}), labelled=frozenset({"abc"}), rentals=1)


def test_an_empty_state_knows_nothing() -> None:
    assert state_of("dev", {"resources": None}) == StackState("dev")


def test_all_stacks_are_read_the_own_one_first() -> None:
    run = Pulumi(stack_ls=[{"name": "prod"}, {"name": "dev"}], stack_export={"deployment": DEPLOYMENT})

    assert [state.stack for state in states(run, "dev")] == ["dev", "prod"]


def test_one_broken_state_leaves_the_others_readable() -> None:
    run = Pulumi(
        stack_ls=[{"name": "prod"}, {"name": "dev"}],
        stack_export=lambda stack: BackendError("bad") if stack == "prod" else {"deployment": DEPLOYMENT},
    )

    own, other = states(run, "dev")

    assert own.instances
    assert (other.stack, other.trouble) == ("prod", "bad")


def test_a_list_that_fails_is_told_and_the_own_state_read_all_the_same() -> None:
    run = Pulumi(stack_ls=BackendError("place 1"), stack_export={"deployment": DEPLOYMENT})

    own, others = states(run, "dev")

    assert own.stack_id == "abc"
    assert others.trouble == "place 1"


def test_an_export_that_is_no_json_is_trouble_and_not_emptiness() -> None:
    run = Pulumi(stack_ls=[{"name": "dev"}], stack_export="<html>")

    assert states(run, "dev")[0].trouble


def test_config_comes_in_its_shapes() -> None:
    rows = {"a:x": {"value": "1", "secret": True}, "a:y": {"value": "{}", "objectValue": {"z": 1}}}

    assert stack_config(Pulumi(config=rows), "dev") == ({"a:x": "1", "a:y": {"z": 1}}, frozenset({"a:x"}))


def test_no_selected_stack_says_how_to_name_one() -> None:
    with pytest.raises(BackendError, match="--stack"):
        selected_stack(Pulumi(stack=BackendError("no stack selected")))


SLOT = {"resources": [resource(INSTANCE, "chat-5", "9", inputs={"label": "gpu-fleet/abc/chat-5"})]}


def exports(**deployments: Any) -> Pulumi:
    def export(stack: str) -> str:
        found = deployments.get(stack.rpartition("/")[2])
        if found is None:
            raise BackendError(f"no stack named {stack!r} found")
        return json.dumps({"deployment": found})

    return Pulumi(stack_ls=[{"name": name} for name in deployments], stack_export=export, stack="dev")


def test_a_family_is_the_stack_and_its_slots() -> None:
    others = {"dev-chat-5": SLOT, "dev-a.slot.chat-5": SLOT, "devil": SLOT}
    run = exports(**{"prod": SLOT, "dev": DEPLOYMENT, "dev.slot.chat-5": SLOT, **others})

    found = family(run, "organization/gpu-fleet/dev", "abc")

    assert [one.stack for one in found] == ["organization/gpu-fleet/dev", "dev.slot.chat-5"]
    assert found[1].stack_ids == {"abc"}


def test_a_stack_of_another_name_is_found_by_its_id() -> None:
    run = exports(prod=SLOT, renamed=DEPLOYMENT, dev={})

    for stack in ("", "dev"):
        found = family(run, stack, "abc")
        assert found[0].stack == "renamed"
        assert {one.stack for one in found} == {"prod", "renamed", "dev"}
    assert family(run, "dev", "xyz")[0].trouble == "no stack of the backend has this id"


def test_a_name_of_before_a_rename_is_no_state_and_a_state_that_cannot_be_read_is_one() -> None:
    for stack in ("dev", "organization/gpu-fleet/dev"):
        assert [one.stack for one in family(exports(renamed=DEPLOYMENT, prod=SLOT), stack, "abc")] == [
            "renamed",
            "prod",
        ]

    def export(stack: str) -> str:
        if stack == "renamed":
            return json.dumps({"deployment": DEPLOYMENT})
        raise BackendError("incorrect passphrase")

    run = Pulumi(stack_ls=[{"name": "renamed"}, {"name": "dev"}], stack_export=export)
    found = family(run, "dev", "abc")
    assert [(one.stack, one.trouble) for one in found] == [("renamed", None), ("dev", "incorrect passphrase")]


NO_OFFER = "error: resource 'b': property wishes has a problem: no offer under the ceiling\n"
TRACE = "error: Program failed with an unhandled exception:\nTraceback …\n\nValueError: no such zone\n"
NEWS = "warning: A new version of Pulumi is available.\n"


def preview(*rows: tuple[str, str]) -> str:
    """What `pulumi preview --json` writes; `rows` of severity and message."""
    return json.dumps({"steps": [], "diagnostics": [{"severity": kind, "message": text} for kind, text in rows]})


@pytest.mark.parametrize(
    ("out", "err", "reason"),
    [
        (preview(("error", TRACE), ("error", NO_OFFER), ("info", "bye")), "", NO_OFFER.removeprefix("error: ").strip()),
        (preview(("error", NO_OFFER), ("error", TRACE)), NEWS, "ValueError: no such zone"),
        (preview(("warning", "slow")), "error: the stack is locked\n", "the stack is locked"),
        (preview(), "", "`pulumi preview` fails and says nothing"),
        ('{"steps": [', "", "`pulumi preview` fails and says nothing"),
        ("[1]", "", "`pulumi preview` fails and says nothing"),
        ('{"diagnostics": null}', "", "`pulumi preview` fails and says nothing"),
        ('{"diagnostics": [{"severity": "error"}, 1]}', "", "`pulumi preview` fails and says nothing"),
        ("text", "error: bad\n", "bad"),
    ],
)
def test_a_failure_is_told_by_its_cause_in_json_or_else_by_the_last_words(
    out: str, err: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_with_pulumi(tmp_path / "bin", {"preview": (255, out, err)}))

    with pytest.raises(BackendError) as failed:
        run_pulumi(["preview", "--json"])

    assert str(failed.value) == reason
