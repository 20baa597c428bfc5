"""The configuration that hosts get, byte for byte, as the real Caddy understands it; nothing is started."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from bootstrap.gate import caddyfile
from tests.doubles.gate import CADDY

PORT = 8443
GUARDS = {"vars_regexp", "header_regexp", "header"}


@pytest.fixture(scope="module")
def adapted() -> dict[str, Any]:
    command = [str(CADDY), "adapt", "--adapter", "caddyfile", "--config", "/dev/stdin"]
    done = subprocess.run(command, input=caddyfile(PORT).encode(), capture_output=True, check=True, timeout=60)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def door(adapted: dict[str, Any]) -> dict[str, Any]:
    """The server that strangers reach; its name is the label by which its requests under way are counted."""
    return adapted["apps"]["http"]["servers"]["door"]


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a document, at any depth."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(part)


def test_nothing_listens_but_the_door_and_metrics_on_loopback(adapted: dict[str, Any]) -> None:
    servers = adapted["apps"]["http"]["servers"]

    assert {name: server["listen"] for name, server in servers.items()} == {
        "door": [f":{PORT}"],
        "mon": ["127.0.0.1:9180"],
    }
    assert adapted["admin"]["disabled"] is True
    assert adapted["admin"]["config"] == {"persist": False}


def test_the_options_of_the_door_are_those_of_its_listener(door: dict[str, Any]) -> None:
    """Caddy drops them silently where the addresses differ by a letter; then HTTP/3 would be offered."""
    assert door["protocols"] == ["h1", "h2"]
    assert door["read_header_timeout"] == 10 * 10**9
    assert door["idle_timeout"] == 120 * 10**9


def test_the_certificate_is_the_hosts_own(adapted: dict[str, Any]) -> None:
    (files,) = adapted["apps"]["tls"]["certificates"]["load_files"]

    assert (files["certificate"], files["key"]) == ("/opt/gpu-fleet/etc/tls.crt", "/opt/gpu-fleet/etc/tls.key")
    assert "automation" not in adapted["apps"]["tls"]


def test_each_token_has_all_its_guards(door: dict[str, Any]) -> None:
    """No request tells the guard of the header from that of the file: it counts in the moment when a file is exchanged."""
    matchers = [found for found in objects(door) if "header" in found and "Authorization" in found["header"]]

    assert [found["header"]["Authorization"] for found in matchers] == [
        ["Bearer {file./opt/gpu-fleet/etc/token}"],
        ["Bearer {file./opt/gpu-fleet/etc/token.previous}"],
    ]
    assert [set(found) for found in matchers] == [GUARDS, GUARDS]


def test_every_way_to_the_engine_drops_the_token(door: dict[str, Any]) -> None:
    ways = [found for found in objects(door) if found.get("handler") == "reverse_proxy"]

    assert len(ways) == 3  # health, token, previous token
    for way in ways:
        assert way["upstreams"] == [{"dial": "127.0.0.1:8000"}]
        assert way["headers"]["request"]["delete"] == ["Authorization"]


def test_it_is_open_only_while_a_file_says_so(door: dict[str, Any]) -> None:
    closed = [found["not"] for found in objects(door) if "not" in found]
    file = {"root": "/run/gpu-fleet", "try_files": ["open"]}

    assert closed == [[{"file": file}], [{"file": file}]]
