"""A slot rents only while its main stack goes on, and gives back what it rented while the main stack ended."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from providers.vast.main_stack import MainStack, MainStackEnds, MainStackUnknown
from providers.vast.pulumi_state import IDENTITY, RENTALS, BackendError

IDENTITY_ROW = {"type": IDENTITY, "urn": "identity", "outputs": {"stackId": "abc"}}


def rentals(name: str) -> dict[str, Any]:
    return {"type": RENTALS, "urn": f"urn::{name}"}


def deleting(name: str) -> dict[str, Any]:
    return {"type": "deleting", "resource": rentals(name)}


def stack(deployment: dict[str, Any] | None, name: str = "dev") -> MainStack:
    def run(arguments: Sequence[str]) -> str:
        assert list(arguments) == ["stack", "export", "--stack", "dev"]
        if deployment is None:
            raise BackendError("the backend is gone")
        return json.dumps({"deployment": deployment})

    return MainStack(run, name, "abc")


@pytest.mark.parametrize("is_rented", [False, True])
@pytest.mark.parametrize(
    "pending",
    [[], [{"type": "creating", "resource": rentals("rentals")}], [{"type": "deleting", "resource": IDENTITY_ROW}]],
)
def test_a_main_stack_that_goes_on_stops_no_rent(is_rented: bool, pending: list[Any]) -> None:
    stack({"resources": [IDENTITY_ROW, rentals("rentals")], "pending_operations": pending}).confirm(is_rented)


def test_a_replacement_of_the_rentals_stops_no_rent() -> None:
    both = [IDENTITY_ROW, rentals("rentals"), rentals("rentals")]
    stack({"resources": both, "pending_operations": [deleting("rentals")]}).confirm(True)


@pytest.mark.parametrize("is_rented", [False, True])
@pytest.mark.parametrize(
    "deployment",
    [
        {},
        {"resources": [rentals("rentals")]},
        {"resources": [IDENTITY_ROW]},
        {"resources": [{**IDENTITY_ROW, "outputs": {"stackId": "made-anew"}}, rentals("rentals")]},
        {"resources": [IDENTITY_ROW, rentals("rentals")], "pending_operations": [deleting("rentals")]},
    ],
)
def test_a_main_stack_that_ends_stops_every_rent(is_rented: bool, deployment: dict[str, Any]) -> None:
    with pytest.raises(MainStackEnds, match="pulumi destroy --stack dev"):
        stack(deployment).confirm(is_rented)


def test_doubt_rents_nothing_and_ends_nothing() -> None:
    with pytest.raises(MainStackUnknown, match=r"the backend is gone.*nothing was rented"):
        stack(None).confirm(False)
    stack(None).confirm(True)


def test_an_instance_of_no_slot_asks_nobody() -> None:
    stack(None, name="").confirm(False)
