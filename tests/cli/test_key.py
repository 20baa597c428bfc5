"""`gpu-fleet key`: the key of one client, and sentences for names that are wrong."""

import pytest

from cli.errors import CommandError
from cli.key import key_of
from providers.elastic.applied import parse
from tests.controller.api.test_applied_offers import OUTPUT

KEY = parse(OUTPUT).clients["ci"].api_key.get_secret_value()


def test_the_key_is_that_of_the_named_client() -> None:
    other = {"scopes": ["read"], "maxInstances": 1, "maxTtlMinutes": 1, "apiKey": "another"}
    ci = {**other, "apiKey": KEY}

    assert key_of("ci", {"elastic": {**OUTPUT, "clients": {"other": other, "ci": ci}}}, "dev") == KEY


@pytest.mark.parametrize(("outputs", "known"), [({"elastic": OUTPUT}, "ci"), ({}, "none")])
def test_an_unknown_client_is_told_those_there_are_and_no_key(outputs: dict, known: str) -> None:
    with pytest.raises(CommandError, match=rf"no client team \(it has {known}\).*`pulumi up --stack dev`") as refused:
        key_of("team", outputs, "dev")

    assert KEY not in str(refused.value)


def test_an_output_that_cannot_be_read_is_a_sentence() -> None:
    with pytest.raises(CommandError, match="stack dev: the output `elastic`"):
        key_of("ci", {"elastic": {"version": 9}}, "dev")
