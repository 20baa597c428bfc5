"""Which instance a command means: one of the stack, or of a slot by its name; and what is said of one that is not there."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.ask import endpoint
from cli.errors import CommandError
from cli.instances import in_state, pick, slot_stacks
from providers.vast.pulumi_state import INSTANCE, unwrapped
from tests.doubles.pulumi_command import Answer, exported, path_with_pulumi

ACCESS = {"token": {"4dab": "1b47", "plaintext": json.dumps("the token")}, "caCertificate": "pem"}
STACKS = {"dev": {"chat-0": {"n": 0}, "chat-1": {"n": 1}}, "dev.slot.burst-0": {"burst-s0": {"n": 2}}}
SLOTS = {"burst-s0": "dev.slot.burst-0", "burst-s1": "dev.slot.burst-1"}


def picked(name: str, stack: str = "dev", slots: dict[str, str] = SLOTS) -> tuple[str, Any]:
    return pick(stack, name, lambda asked: dict(STACKS.get(asked, {})), lambda _stack: slots)


def of_pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: dict[str, Answer]) -> None:
    monkeypatch.setenv("PATH", path_with_pulumi(tmp_path / "bin", answers))


def row(name: str) -> dict[str, Any]:
    outputs = {"name": name, "endpoint": f"https://{name}", "access": ACCESS}
    return {"type": INSTANCE, "id": "7", "urn": f"a::{name}", "outputs": outputs}


def test_secrets_of_an_export_are_unwrapped_at_any_depth() -> None:
    wrapped = {"a": {"4dab": "1b47", "plaintext": json.dumps({"key": "k"})}, "b": [1, {"c": "d"}]}

    assert unwrapped(wrapped) == {"a": {"key": "k"}, "b": [1, {"c": "d"}]}


@pytest.mark.parametrize(
    ("name", "stack", "number"),
    [("chat-1", "dev", 1), ("", "dev", 0), ("burst-s0", "dev.slot.burst-0", 2)],
)
def test_an_instance_is_found_by_its_name_and_without_one_the_first(name: str, stack: str, number: int) -> None:
    assert picked(name) == (stack, {"n": number})


def test_without_instances_of_its_own_a_stack_s_first_slot_that_serves_is_the_default() -> None:
    assert picked("", "none") == ("dev.slot.burst-0", {"n": 2})


@pytest.mark.parametrize(
    ("name", "stack", "slots", "says"),
    [
        ("chat-9", "dev", SLOTS, "no instance chat-9; the stack has burst-s0, burst-s1, chat-0, chat-1"),
        ("burst-s9", "dev", SLOTS, "no instance burst-s9; the stack has burst-s0, burst-s1, chat-0, chat-1"),
        (
            "burst-s1",
            "dev",
            SLOTS,
            r"burst-s1 boots or ends: the state of its stack dev\.slot\.burst-1 has no instance",
        ),
        ("", "none", {"burst-s1": "dev.slot.burst-1"}, "no instance that serves; the stack has burst-s1"),
        ("", "none", {}, "the stack none has no instance; `pulumi up --stack none` brings"),
        ("burst-s0", "local", {}, "the stack local has no instance burst-s0; `make up` brings"),
    ],
)
def test_an_instance_that_is_not_there_is_said(name: str, stack: str, slots: dict[str, str], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        picked(name, stack, slots)


def test_a_slot_is_asked_at_its_own_endpoint_with_its_own_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {
        "stack ls": (
            0,
            json.dumps([{"name": "dev"}, {"name": "dev.slot.burst-0"}, {"name": "other.slot.burst-0"}]),
            "",
        ),
        "stack export --show-secrets --stack dev.slot.burst-0": exported(resources=[row("burst-s0")]),
        "stack export": exported(resources=[{**row("old"), "delete": True}]),
        "stack output --json --show-secrets --stack dev": (0, json.dumps({"elastic": {}}), ""),
    }
    of_pulumi(tmp_path, monkeypatch, answers)

    assert slot_stacks("dev") == {"burst-s0": "dev.slot.burst-0"}
    assert in_state("dev") == {}
    for name in ("burst-s0", ""):  # the main stack has no endpoint of its own
        assert endpoint("dev", name) == ("dev.slot.burst-0", "burst-s0", ("https://burst-s0", "the token", "pem"))


def test_an_endpoint_of_the_stack_is_asked_as_its_outputs_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = {"endpoints": {"chat-0": "https://1"}, "tokens": {"chat-0": "one"}, "caCertificate": "pem"}
    of_pulumi(tmp_path, monkeypatch, {"stack output": (0, json.dumps(outputs), "")})

    assert endpoint("dev", "") == ("dev", "chat-0", ("https://1", "one", "pem"))
    with pytest.raises(CommandError, match="no endpoint chat-9; the stack has chat-0"):
        endpoint("dev", "chat-9")


def test_slots_that_cannot_be_listed_are_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_pulumi(tmp_path, monkeypatch, {"stack ls": (255, "", "error: the backend is gone")})

    with pytest.raises(CommandError, match="the backend is gone"):
        slot_stacks("dev")
