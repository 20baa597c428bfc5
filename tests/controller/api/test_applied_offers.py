"""The main stack's output, as the API uses it."""

from config.elastic import Elastic
from controller.api.applied_offers import offers_of
from controller.clients import identify
from controller.offers import choose
from providers.elastic.applied import parse
from providers.identity.tokens import token_for

SECRET = "5e" * 32
OUTPUT = {
    "version": 1,
    "stack": "dev",
    "project": "gpu-fleet",
    "stackId": "abc",
    "fleets": {
        "burst": {
            "bounds": {"min": 0, "max": 2},
            "model": "llama-3.1-8b",
            "gpus": ["RTX 4090"],
            "ceilingUsdPerHour": 0.5,
            "digest": "d",
            "instance": {},
        },
        "broken": {"bounds": {"min": 3, "max": 2}},
    },
    "clients": {
        "ci": {"scopes": ["provision"], "maxInstances": 2, "maxTtlMinutes": 60, "apiKey": "key-of-ci"},
        "empty": {"scopes": ["provision"], "maxInstances": 2, "maxTtlMinutes": 60, "apiKey": ""},
    },
    "marketUrl": "https://market.example",
    "tokenSecret": SECRET,
    "tokenEpoch": 3,
    "sshKey": "ssh",
    "caCertificate": "ca",
}


def test_fleets_clients_and_tokens_are_those_that_were_applied() -> None:
    found = offers_of(parse(OUTPUT))

    burst = choose(found.fleets, "Llama-3.1-8B", "rtx4090", {}, 2)
    assert (burst.fleet, burst.bounds, burst.ceiling) == ("burst", Elastic(max=2), 0.5)
    assert found.token("burst-s0") == token_for(SECRET, "burst-s0", 3)
    client = identify(found.clients, "key-of-ci")
    assert client is not None
    assert (client.name, client.scopes, client.max_instances) == ("ci", frozenset({"provision"}), 2)
    assert identify(found.clients, "") is None


def test_what_cannot_be_read_is_left_out_and_the_rest_stands() -> None:
    found = offers_of(parse(OUTPUT))
    assert [one.fleet for one in found.fleets] == ["burst"]
    assert list(found.clients) == ["ci"]
    assert SECRET not in repr(found)
    assert "key-of-ci" not in repr(found)
