"""The identity is made anew for nobody whose instances run; a new stack, and one that rents nothing, get theirs."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from providers.identity.replacement import refusal
from providers.vast.pulumi_state import IDENTITY, INSTANCE, BackendError

OWN = {"type": IDENTITY, "id": "abc", "outputs": {"stackId": "abc"}}
RUNNING = {"type": INSTANCE, "id": "7", "inputs": {"label": "gpu-fleet/abc/chat-0"}}


def refused(*rows: dict[str, Any], trouble: str = "", slot: dict[str, Any] | None = None, listing: str = "") -> str:
    def run(arguments: Sequence[str]) -> str:
        if trouble or (listing and arguments[1] == "ls"):
            raise BackendError(trouble or listing)
        if arguments[1] == "ls":
            return json.dumps([{"name": "dev"}, *([{"name": "dev.slot.burst-0"}] if slot is not None else [])])
        return json.dumps({"deployment": slot if "slot" in arguments[-1] else {"resources": list(rows)}})

    return refusal(run, "organization/gpu-fleet/dev")


def test_an_identity_whose_instances_run_is_not_made_anew() -> None:
    refusal = refused(OWN, RUNNING)

    assert "(abc) would be made anew" in refusal
    assert "(chat-0)" in refusal
    assert "`pulumi destroy` first" in refusal


CREATING = {"pending_operations": [{"type": "creating", "resource": RUNNING}]}


@pytest.mark.parametrize("slot", [{"resources": [RUNNING]}, CREATING])
def test_an_identity_whose_slots_run_or_boot_is_not_made_anew(slot: dict[str, Any]) -> None:
    assert "(dev.slot.burst-0)" in refused(OWN, slot=slot)
    assert refused(OWN, slot={}) == ""
    assert "slots, which cannot be listed: no backend" in refused(OWN, listing="no backend")


@pytest.mark.parametrize("rows", [[], [OWN], [RUNNING]])
def test_a_new_stack_and_one_that_rents_nothing_are_not_refused(rows: list[dict[str, Any]]) -> None:
    assert refused(*rows) == ""


def test_a_state_that_cannot_be_read_refuses_nothing() -> None:
    assert refused(trouble="no stack named dev") == ""
    assert refusal(lambda _arguments: "", "") == ""
