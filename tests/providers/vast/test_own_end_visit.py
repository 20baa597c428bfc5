"""Each look at a host that may end itself renews its lease, and tells it its age and where to leave word of its end."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bootstrap.errors import StepFailed
from bootstrap.host import Result
from bootstrap.kit import SCRIPTS
from providers.ledger.last_word import WORD_BYTES
from providers.store.client import Keys
from providers.vast.api.instance import Instance
from providers.vast.instance_bootstrap import InstanceBootstrap
from providers.vast.settings import InstanceSettings
from tests.doubles.clock import FakeClock
from tests.doubles.settings import PROPS

LIMITED = InstanceSettings.from_props({**PROPS, "selfDestruct": {"idleMinutes": 30}})
KEYS = Keys("key", "secret")
PLAIN = InstanceSettings.from_props(PROPS)


class Host:
    """A host that keeps what is put there, or has a full disk."""

    def __init__(self, *, full: bool = False) -> None:
        self.files: dict[str, tuple[bytes, int]] = {}
        self.full = full

    def put(self, data: bytes, path: str, mode: int) -> None:
        if self.full:
            raise StepFailed("no space left on device")
        self.files[path] = (data, mode)

    def run(self, command: str, stdin: bytes = b"", timeout: float = 60) -> Result:
        raise AssertionError(command)

    def close(self) -> None:
        raise AssertionError("not ours to close")


def visited(settings: InstanceSettings, host: Host, keys: Keys = KEYS, **row: Any) -> list[str]:
    clock, lines = FakeClock(), []
    no_keyring: Any = None  # nothing logs in
    bootstrap = InstanceBootstrap(settings, "", keys, settings.to_limits(), clock, no_keyring)
    began = row.pop("began", None)
    instance = Instance(id=4711, start_date=None if began is None else clock.time() - began, **row)
    bootstrap.renew_lease(host, instance, lambda phase, text: lines.append(f"{phase}: {text}"))
    return lines


def told(host: Host) -> dict[str, Any]:
    [(path, (text, mode))] = host.files.items()
    assert (path, mode) == ("/opt/gpu-fleet/etc/self-destruct.visit", 0o600)
    found: dict[str, Any] = json.loads(text)
    return found


def test_a_host_is_told_its_age_and_a_url_that_takes_its_last_word_for_a_week() -> None:
    host = Host()

    assert visited(LIMITED, host, began=7200.0) == []

    found = told(host)
    url = urlsplit(found["word"])
    asked = parse_qs(url.query)
    assert found["age"] == pytest.approx(7200, abs=1)
    assert (url.netloc, url.path) == ("s3.sandbox.internal", "/bucket/ledger/last-words/abc.chat-0.4711.json")
    assert asked["X-Amz-Expires"] == [str(7 * 86400)]
    assert asked["X-Amz-SignedHeaders"] == ["content-length;host"]


@pytest.mark.parametrize("began", [None, -500.0])
def test_a_market_that_does_not_say_when_it_was_rented_or_says_tomorrow_makes_it_no_older(began: float | None) -> None:
    host = Host()
    visited(LIMITED, host, began=began)

    assert told(host)["age"] == 0


def test_without_the_store_s_keys_there_is_no_word() -> None:
    host = Host()
    visited(LIMITED, host, Keys("", ""))

    assert told(host)["word"] == ""


def test_a_host_without_limits_gets_no_file() -> None:
    host = Host()

    assert visited(PLAIN, host) == []
    assert host.files == {}


def test_a_visit_that_fails_is_said_and_hinders_nothing() -> None:
    (line,) = visited(LIMITED, Host(full=True))

    assert line.startswith("visit: its lease is not renewed, and it cannot leave word of its end: no space left")
    assert "Signature" not in line


def test_the_host_writes_as_many_bytes_as_the_url_takes() -> None:
    assert f"\nWORD_BYTES = {WORD_BYTES}  #" in (SCRIPTS / "self_destruct.py").read_text()
