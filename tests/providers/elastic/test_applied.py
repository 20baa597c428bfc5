"""The main stack's output `elastic` is read strictly, row by row, and shows no secret."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.elastic.applied import UnreadableOutputError, digest_of, parse
from providers.identity.tokens import api_key_for, token_for

SECRET = "5e" * 32
FLEET = {
    "bounds": {"min": 0, "max": 2},
    "model": "tiny",
    "gpus": ["RTX 4090"],
    "ceilingUsdPerHour": 0.5,
    "digest": "d" * 64,
    "instance": {"access": {"sshPrivateKey": "a private key"}},
}
OUTPUT: dict[str, Any] = {
    "version": 1,
    "stack": "dev",
    "project": "gpu-fleet",
    "stackId": "abc",
    "fleets": {"burst": FLEET},
    "clients": {"team": {"scopes": ["read"], "maxInstances": 1, "maxTtlMinutes": 60, "apiKey": "a key of an api"}},
    "marketUrl": "https://console.vast.ai",
    "tokenSecret": SECRET,
    "tokenEpoch": 2,
    "sshKey": "an ssh key",
    "caCertificate": "a certificate",
    "keys": {"vastApiKey": "a key of the account"},
}


def test_the_output_is_read_and_derives_the_tokens_of_its_slots() -> None:
    applied = parse(OUTPUT)

    assert applied.fleets["burst"].bounds.max == 2
    assert applied.token("burst-s0") == token_for(SECRET, "burst-s0", 2)
    assert applied.unreadable == {}


def test_no_text_of_it_shows_a_secret() -> None:
    text = repr(parse(OUTPUT)) + str(parse(OUTPUT))

    for secret in (SECRET, "a private key", "a key of an api", "an ssh key", "a key of the account"):
        assert secret not in text


def test_one_bad_fleet_leaves_the_others_and_says_why_without_its_value() -> None:
    output = copy.deepcopy(OUTPUT)
    output["fleets"]["odd"] = {**FLEET, "bounds": {"min": 3, "max": 2}}
    output["fleets"]["none"] = None
    output["clients"]["odd"] = {"apiKey": "another key", "scopes": ["everything"]}

    applied = parse(output)

    assert set(applied.fleets) == {"burst"}
    assert set(applied.clients) == {"team"}
    assert set(applied.unreadable) == {"fleets.odd", "fleets.none", "clients.odd"}
    assert "min is 3, which is more than max, 2" in applied.unreadable["fleets.odd"]
    assert "another key" not in str(applied.unreadable)


@pytest.mark.parametrize("key", ["version", "stack", "project", "stackId", "marketUrl", "tokenSecret", "sshKey"])
def test_without_a_key_of_the_stack_nothing_is_read(key: str) -> None:
    with pytest.raises(UnreadableOutputError, match=key):
        parse({name: value for name, value in OUTPUT.items() if name != key})


def test_what_a_newer_program_adds_is_left_aside_and_another_version_is_refused() -> None:
    assert parse({**OUTPUT, "more": 1}).stack == "dev"
    with pytest.raises(UnreadableOutputError, match="version"):
        parse({**OUTPUT, "version": 2})


values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))
instances = st.dictionaries(st.text(max_size=5), values, max_size=5)


@given(instances, instances)
def test_two_instances_have_one_digest_only_if_they_are_made_of_the_same(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert digest_of(one, SECRET) == digest_of(dict(reversed(one.items())), SECRET)
    same = repr(sorted(one.items(), key=repr)) == repr(sorted(other.items(), key=repr))
    assert (digest_of(one, SECRET) == digest_of(other, SECRET)) == same


def test_the_digest_tells_nothing_to_somebody_without_the_secret() -> None:
    assert digest_of(FLEET, SECRET) != digest_of(FLEET, "5f" * 32)


@given(st.text(max_size=10).filter(lambda name: "\0" not in name), st.integers(0, 5))
def test_an_api_key_is_of_one_client_and_is_no_token(name: str, epoch: int) -> None:
    key = api_key_for(SECRET, name, epoch)

    assert key != token_for(SECRET, name, epoch)
    assert key != api_key_for(SECRET, name, epoch + 1)
    assert key != api_key_for(SECRET, f"{name}x", epoch)
