"""Server-sent events of a claim, over HTTP."""

import json
import threading
from collections.abc import Iterator

import httpx
import pytest

from controller.offers import OffersUnknown
from controller.slots import SlotEvent, advance
from controller.store.event_rows import Record
from sandbox.services.postgres import Postgres
from tests.doubles.api import KEYS, Api
from tests.doubles.database import cut_connections
from tests.doubles.until import until

pytestmark = pytest.mark.service

Told = tuple[str, dict, str | None]


class Following(threading.Thread):
    """A client that follows a claim; `wait_for` returns once it has heard so many messages."""

    def __init__(self, api: Api, id_: str, **headers: str) -> None:
        super().__init__(daemon=True)
        self.heard: list[Told] = []
        self._changed = threading.Condition()
        self._url, self._headers = f"{api.url}/provision/{id_}/events", {"X-API-Key": KEYS["ci"], **headers}
        self.start()

    def run(self) -> None:
        with httpx.stream("GET", self._url, headers=self._headers, timeout=60) as answer:
            for told in messages(answer.iter_lines()):
                with self._changed:
                    self.heard.append(told)
                    self._changed.notify_all()

    def wait_for(self, count: int) -> list[str]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.heard) >= count, 20), self.heard
            return [event for event, _data, _id in self.heard]

    def to_the_end(self) -> list[str]:
        self.join(20)
        assert not self.is_alive(), self.heard
        return [event for event, _data, _id in self.heard]


def messages(lines: Iterator[str]) -> Iterator[Told]:
    found: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            found[name] = value.removeprefix(" ")
        elif "data" in found:
            yield found["event"], json.loads(found["data"]), found.get("id")
            found = {}


def test_a_stream_tells_each_step_and_ends_when_the_claim_is_served(api: Api) -> None:
    id_ = api.claimed()
    following = Following(api, id_)
    assert following.wait_for(1) == ["status"]
    slot = api.rent(id_)
    assert following.wait_for(3) == ["status", "phase", "status"]
    api.serve(slot)
    assert following.to_the_end()[-2:] == ["phase", "ready"]
    last = following.heard[-1][1]
    assert (last["status"], last["endpoint"]) == ("ready", "https://192.0.2.0:8443")
    assert "token-of" not in str(following.heard)
    assert [data["phase"] for event, data, _id in following.heard if event == "phase"] == ["rent", "served"]


def test_who_comes_back_hears_the_rest(api: Api) -> None:
    id_ = api.claimed()
    slot = api.rent(id_)
    first = Following(api, id_)
    first.wait_for(2)
    [mark] = [mark for event, _data, mark in first.heard if event == "phase"]
    assert mark is not None
    api.serve(slot)
    later = Following(api, id_, **{"Last-Event-ID": mark})
    assert later.to_the_end() == ["phase", "ready"]
    assert later.heard[0][1]["phase"] == "served"
    first.to_the_end()


def test_a_stream_tells_of_a_slot_that_failed_and_of_the_next(api: Api) -> None:
    id_ = api.claimed()
    following = Following(api, id_)
    slot = api.rent(id_)
    failed = advance(slot, SlotEvent.DIED, api.now)
    assert api.store.write("burst", slot, failed, [Record(api.now, "burst", 0, "died", ({"says": "no boot"},))])
    api.serve(api.rent(id_, 1))
    following.to_the_end()
    told = [(data["instance"], data["phase"]) for event, data, _id in following.heard if event == "phase"]
    assert told == [("burst-s0", "rent"), ("burst-s0", "died"), ("burst-s1", "rent"), ("burst-s1", "served")]


def test_a_stream_whose_client_goes_away_ends(api: Api) -> None:
    id_ = api.claimed()
    with httpx.stream("GET", f"{api.url}/provision/{id_}/events", headers={"X-API-Key": KEYS["ci"]}) as answer:
        lines = answer.iter_lines()  # kept, because httpx closes the connection with the iterator
        assert (answer.status_code, next(lines)) == (200, "event: status")
        assert api.bell.listeners == 1, list(lines)  # what an ended stream said last
    until(lambda: not api.bell.listeners, "the stream to end")


def test_a_stream_ends_when_the_claim_is_given_back_or_expires(api: Api) -> None:
    id_, other = api.claimed(), api.claimed(ttl_minutes=1)
    following, expiring = Following(api, id_), Following(api, other)
    following.wait_for(1)
    expiring.wait_for(1)
    api.call("DELETE", f"/provision/{id_}")
    assert following.to_the_end()[-1] == "ended"
    assert following.heard[-1][1]["ended_because"] == "given back"
    api.now += 61
    assert expiring.to_the_end()[-1] == "ended"  # nobody writes at an expiry; the stream looks by itself
    assert expiring.heard[-1][1]["ended_because"] == "expired"


def test_a_claim_that_has_ended_is_told_at_once(api: Api) -> None:
    id_ = api.claimed()
    api.call("DELETE", f"/provision/{id_}")
    assert Following(api, id_).to_the_end() == ["ended"]


def test_a_stream_outlives_connections_that_were_cut(api: Api, postgres: Postgres, dsn: str) -> None:
    id_ = api.claimed()
    following = Following(api, id_)
    following.wait_for(1)
    cut_connections(postgres, dsn)
    api.serve(api.rent(id_))
    assert following.to_the_end()[-1] == "ready"


def test_a_stream_says_why_it_cannot_go_on(api: Api) -> None:
    id_ = api.claimed()
    following = Following(api, id_)
    following.wait_for(1)
    api.applied = OffersUnknown("nobody can read the main stack")
    api.rent(id_)
    assert following.to_the_end()[-1] == "error"
    assert following.heard[-1][1]["error"]["code"] == "not_known"
