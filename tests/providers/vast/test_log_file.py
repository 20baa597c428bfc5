"""Logs through the HTTP client: the end of one is asked for once and within its time, and none is read without an end."""

import json

import httpx
import pytest

from providers.vast.api import errors
from tests.providers.vast.test_client import client, reply


@pytest.mark.parametrize("daemon", [False, True])
def test_the_end_of_a_log_is_asked_for_once(daemon: bool) -> None:
    market, seen, _ = client(reply(success=True, result_url="http://logs/x"), httpx.Response(200, text="hello"))

    assert market.last_log(5, daemon, 10) == "hello"
    assert json.loads(seen[0].content).get("daemon_logs") == ("true" if daemon else None)

    market, seen, _ = client(reply(502))
    with pytest.raises(errors.OutcomeUnknown):
        market.last_log(5, daemon, 10)
    assert len(seen) == 1


def test_a_log_that_never_comes_is_waited_for_no_longer_than_said() -> None:
    market, _, clock = client(reply(success=True, result_url="http://logs/x"), httpx.Response(404))

    assert market.last_log(5, False, 2) == ""
    assert clock.now <= 2


def test_a_log_without_an_end_is_cut() -> None:
    market, _, _ = client(
        reply(success=True, result_url="http://logs/x"), httpx.Response(200, content=b"x" * 9_000_000)
    )

    assert len(market.log(5)) == 8_000_000
