"""`gpu-fleet key`: the key of one client, and sentences for names that are wrong."""

import pytest

from cli.errors import CommandError
from cli.key import key_of
from tests.controller.api.test_applied_offers import OUTPUT


def test_the_key_is_that_of_the_named_client() -> None:
    clients = {"other": {**OUTPUT["clients"]["ci"], "apiKey": "another"}, **OUTPUT["clients"]}

    assert key_of("ci", {"elastic": {**OUTPUT, "clients": clients}}, "dev") == OUTPUT["clients"]["ci"]["apiKey"]


@pytest.mark.parametrize(("outputs", "known"), [({"elastic": OUTPUT}, "ci"), ({}, "none")])
def test_an_unknown_client_is_told_those_there_are_and_no_key(outputs: dict, known: str) -> None:
    with pytest.raises(CommandError, match=rf"no client team \(it has {known}\).*`pulumi up --stack dev`") as refused:
        key_of("team", outputs, "dev")

    assert OUTPUT["clients"]["ci"]["apiKey"] not in str(refused.value)


def test_an_output_that_cannot_be_read_is_a_sentence() -> None:
    with pytest.raises(CommandError, match="stack dev: the output `elastic`"):
        key_of("ci", {"elastic": {"version": 9}}, "dev")
