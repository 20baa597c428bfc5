"""Our key at the market: attached to one instance, and what goes wrong with it is a doubt."""

import json
from typing import Any

import pytest

from providers.vast.api import errors
from providers.vast.renting import key_attachment
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, raising
from tests.providers.vast.test_client import client, reply

LINE = "ssh-ed25519 AAAA gpu-fleet"
ALREADY = [
    reply(200, success=False, error="already_associated", msg="SSH key is already associated with instance."),
    reply(400, success=False, error="invalid_args", msg="SSH key already associated"),
]


def test_the_key_goes_to_the_instance_alone() -> None:
    market, seen, _ = client(reply(success=True))

    key_attachment.attach(market, 7, f"{LINE}\n", lambda *_: None)

    assert [(one.method, one.url.path, json.loads(one.content)) for one in seen] == [
        ("POST", "/api/v0/instances/7/ssh/", {"ssh_key": LINE})
    ]


@pytest.mark.parametrize("answer", ALREADY)
def test_a_key_that_is_attached_already_is_attached(answer: Any) -> None:
    client(answer)[0].attach_key(7, LINE)


def test_another_refusal_is_none_of_that() -> None:
    with pytest.raises(errors.RequestInvalid):
        client(reply(400, success=False, error="no_ssh_key"))[0].attach_key(7, LINE)


@pytest.mark.parametrize("as_text", [True, False])
def test_the_old_key_is_found_by_its_words_and_taken_away(as_text: bool) -> None:
    rows = [
        {"id": 1, "public_key": "ssh-ed25519 BBBB other"},
        {"id": 2, "public_key": LINE},
        {"id": 3, "public_key": None},
    ]
    market, seen, _ = client(reply(success=True, ssh_keys=json.dumps(rows) if as_text else rows), reply(success=True))

    market.detach_key(7, "ssh-ed25519 AAAA")

    assert [(one.method, one.url.path) for one in seen[1:]] == [("DELETE", "/api/v0/instances/7/ssh/2/")]


def test_trouble_with_the_market_is_said_and_no_failure() -> None:
    market, reported = FakeMarket(FakeClock()), list[str]()
    for call in ("attach", "detach"):
        market.before[call] = [raising(errors.OutcomeUnknown(call, "HTTP 502"))]

    key_attachment.attach(market, 7, LINE, lambda _, text: reported.append(text))
    key_attachment.detach(market, 7, LINE, lambda _, text: reported.append(text))

    assert len(reported) == 2
    assert all("HTTP 502" in one for one in reported)
