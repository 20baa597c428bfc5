"""The API over HTTP against a real PostgreSQL: ask, look, renew, give back."""

import datetime as dt
from dataclasses import replace

import pytest

from controller.api.claim_service import new_id
from controller.api.pruning import KEPT_SECONDS, Pruner
from controller.store.event_rows import Call, Record
from controller.store.store import Store
from tests.doubles.api import KEYS, NOW, SEED, Api, error_of, offers
from tests.doubles.at_once import at_once

pytestmark = pytest.mark.service


def when(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()


def test_the_seeds_own_request_works_word_for_word(api: Api) -> None:
    body = '{"model": "llama-3.1-8b", "gpu_type": "rtx4090"}'
    answer = api.call("POST", "/provision", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 202
    found = answer.json()
    assert list(found)[:4] == ["id", "status", "endpoint", "expires_at"]
    assert (found["id"], found["status"], found["endpoint"]) == ("claim-1", "provisioning", None)
    assert when(found["expires_at"]) == NOW + 3600
    assert api.store.claims()[0].fleet == "burst"


def test_a_claim_is_followed_from_nothing_to_an_endpoint_and_back(api: Api) -> None:
    id_ = api.claimed(ttl_minutes=30)
    decided = {"rule": "claims", "says": "claims ask for 1", "facts": {"count": 1}}
    api.store.record([Record(NOW, "burst", None, "decided", (decided,))])
    waiting = api.call("GET", f"/provision/{id_}").json()
    assert (waiting["status"], waiting["token"], waiting["instances"]) == ("provisioning", None, [])
    assert (waiting["waits_for"], waiting["seconds_to_expect"]) == (["claims ask for 1"], None)
    assert waiting["ceiling_usd_per_hour"] == 0.5

    slot = api.rent(id_)
    booting = api.call("GET", f"/provision/{id_}").json()
    assert [(one["name"], one["state"], one["endpoint"]) for one in booting["instances"]] == [
        ("burst-s0", "renting", None)
    ]
    assert [(one["instance"], one["phase"], one["says"]) for one in booting["phases"]] == [
        ("burst-s0", "rent", ["1 is missing"])
    ]

    api.serve(slot)
    ready = api.call("GET", f"/provision/{id_}").json()
    assert (ready["status"], ready["endpoint"], ready["token"]) == (
        "ready",
        "https://192.0.2.0:8443",
        "token-of-burst-s0",
    )
    assert (ready["usd_per_hour"], ready["seconds_to_expect"], ready["waits_for"]) == (0.3, 0, [])
    assert [one["phase"] for one in ready["phases"]] == ["rent", "served"]

    api.now += 60
    gone = api.call("DELETE", f"/provision/{id_}")
    again = api.call("DELETE", f"/provision/{id_}")
    assert (gone.status_code, gone.json()) == (again.status_code, again.json()) == (200, again.json())
    ended = again.json()
    assert (ended["status"], ended["ended_because"], ended["endpoint"], ended["token"]) == (
        "ended",
        "given back",
        None,
        None,
    )
    assert when(ended["ended_at"]) == NOW + 60
    assert api.store.claims() == ()


def test_a_claim_of_two_is_ready_with_the_second(api: Api) -> None:
    id_ = api.claimed(count=2)
    api.serve(api.rent(id_, 0), 0.3)
    half = api.call("GET", f"/provision/{id_}").json()
    assert (half["status"], half["endpoint"]) == ("provisioning", "https://192.0.2.0:8443")
    assert half["seconds_to_expect"] is not None
    api.serve(api.rent(id_, 1), 0.2)
    both = api.call("GET", f"/provision/{id_}").json()
    assert (both["status"], both["usd_per_hour"]) == ("ready", 0.5)
    assert [one["token"] for one in both["instances"]] == ["token-of-burst-s0", "token-of-burst-s1"]


def test_a_claim_expires_unless_it_is_renewed(api: Api) -> None:
    id_ = api.claimed(ttl_minutes=10)
    renewed = api.call("POST", f"/provision/{id_}/renew", json={"ttl_minutes": 30}).json()
    assert when(renewed["expires_at"]) == NOW + 1800
    shorter = api.call("POST", f"/provision/{id_}/renew", json={"ttl_minutes": 1}).json()
    assert when(shorter["expires_at"]) == NOW + 1800
    assert when(api.call("POST", f"/provision/{id_}/renew").json()["expires_at"]) == NOW + 3600

    api.now += 3601
    over = api.call("GET", f"/provision/{id_}").json()
    assert (over["status"], over["ended_because"]) == ("ended", "expired")
    assert when(over["ended_at"]) == NOW + 3600
    refused = api.call("POST", f"/provision/{id_}/renew")
    assert (refused.status_code, error_of(refused)["code"]) == (410, "claim_over")
    assert api.call("DELETE", f"/provision/{id_}").json()["ended_because"] == "expired"


def test_a_claim_is_its_owners_alone(api: Api) -> None:
    id_ = api.claimed()
    api.serve(api.rent(id_))
    for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/renew"), ("DELETE", "")):
        refused = api.call(method, f"/provision/{id_}{path}", "other")
        assert (refused.status_code, error_of(refused)["code"]) == (404, "no_such_claim")
        assert error_of(refused)["message"] == error_of(api.call("GET", "/provision/claim-9"))["message"].replace(
            "claim-9", id_
        )
    assert api.call("GET", "/provision", "other").json() == []

    seen = api.call("GET", f"/provision/{id_}", "boss")
    assert (seen.json()["status"], seen.json()["client"]) == ("ready", "ci")
    assert "token-of" not in seen.text
    assert "token-of" not in api.call("GET", "/provision", "boss").text
    assert api.call("POST", f"/provision/{id_}/renew", "boss").status_code == 403
    assert api.call("DELETE", f"/provision/{id_}", "boss").json()["status"] == "ended"


def test_a_list_has_the_live_claims(api: Api) -> None:
    first, second = api.claimed(ttl_minutes=5), api.claimed()
    other = api.claimed(client="other")
    assert {one["id"] for one in api.call("GET", "/provision").json()} == {first, second}
    assert {one["id"] for one in api.call("GET", "/provision", "boss").json()} == {first, second, other}
    api.now += 301
    assert [one["id"] for one in api.call("GET", "/provision").json()] == [second]


def test_the_same_key_from_a_hundred_callers_is_one_claim(api: Api) -> None:
    answers = at_once(100, lambda _number: api.ask(key="build-17"))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(api.store.claims()) == 1
    refused = api.ask(key="build-17", count=2)
    error = error_of(refused)
    assert (refused.status_code, error["code"]) == (422, "key_reused")
    assert (error["claim"], error["first"]) == (
        answers[0].json()["id"],
        {**SEED, "ttl_minutes": None, "count": 1},
    )
    assert "build-17" in error["message"]
    assert api.ask("other", key="build-17").status_code == 202
    assert len(api.store.claims()) == 2


def test_a_key_gives_the_same_claim_when_its_fleet_is_gone_and_when_it_has_ended(api: Api) -> None:
    id_ = api.ask(key="k").json()["id"]
    api.applied = replace(offers(), fleets=())
    assert api.ask(key="k").json()["id"] == id_
    api.call("DELETE", f"/provision/{id_}")
    ended = api.ask(key="k")
    assert (ended.status_code, ended.json()["id"], ended.json()["status"]) == (202, id_, "ended")


def test_limits_of_a_client_hold_also_against_calls_at_once(api: Api) -> None:
    answers = at_once(12, lambda _number: api.ask())
    assert sorted(answer.status_code for answer in answers) == [202] * 3 + [403] * 9
    refused = error_of(next(answer for answer in answers if answer.status_code == 403))
    assert (refused["code"], refused["limit"], refused["most"]) == ("over_limit", "maxInstances", 3)

    long = api.ask("other", ttl_minutes=121)
    assert (long.status_code, error_of(long)["limit"]) == (422, "maxTtlMinutes")
    assert api.ask("other", ttl_minutes=120).status_code == 202
    api.now += 3601
    assert api.ask().status_code == 202  # the expired ones do not count


def test_every_call_is_audited_by_the_clients_name_and_no_key_is_written(api: Api, caplog) -> None:
    caplog.set_level(0)
    id_ = api.claimed()
    api.call("GET", f"/provision/{id_}")
    api.call("GET", "/fleets", "viewer")
    api.ask("viewer")
    api.call("GET", "/fleets", None)
    api.call("GET", "/fleets", None, headers={"X-API-Key": KEYS["ci"] + "x"})
    api.call("DELETE", "/provision/claim-7")
    api.call("GET", "/healthz", None)
    api.call("GET", f"/provision/{id_}?key={KEYS['ci']}")

    calls = [(call.client, call.method, call.path, call.status, call.claim) for call in reversed(api.store.calls())]
    assert calls == [
        ("ci", "POST", "/provision", 202, id_),
        ("ci", "GET", "/provision/{id}", 200, id_),
        ("viewer", "GET", "/fleets", 200, None),
        ("viewer", "POST", "/provision", 403, None),
        ("unknown", "GET", "/fleets", 401, None),
        ("unknown", "GET", "/fleets", 401, None),
        ("ci", "DELETE", "/provision/{id}", 404, "claim-7"),
        ("ci", "GET", "/provision/{id}", 200, id_),
    ]
    mine = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert not [line for line in mine if any(key in line for key in KEYS.values())]


def test_strangers_fill_no_table_and_are_counted(api: Api) -> None:
    at_once(100, lambda _number: api.call("GET", "/fleets", None))
    assert len(api.store.calls(1000)) == 60
    assert api.call("GET", "/fleets").status_code == 200
    api.now += 60
    api.call("GET", "/fleets", None)
    assert len(api.store.calls(1000)) == 62
    text = api.call("GET", "/metrics", None).text
    assert 'vast_controller_calls_total{code="401",method="GET",path="/fleets"} 101.0' in text


def test_fleets_are_shown_with_their_bounds_and_slots(api: Api) -> None:
    id_ = api.claimed(count=2)
    api.serve(api.rent(id_))
    burst, large = api.call("GET", "/fleets", "viewer").json()
    assert burst == {
        "name": "burst",
        "model": "llama-3.1-8b",
        "gpus": ["RTX 4090"],
        "min": 0,
        "max": 4,
        "ceiling_usd_per_hour": 0.5,
        "claimed": 2,
        "slots": {"ready": 1},
    }
    assert (large["min"], large["claimed"], large["slots"]) == (1, 0, {})


def test_ids_are_not_guessed() -> None:
    assert len({new_id() for _ in range(100)}) == 100
    assert len(new_id()) >= 16


def test_what_was_over_a_month_ago_is_forgotten(store: Store) -> None:
    store.audit(Call(NOW, "ci", "GET", "/fleets", 200))
    store.audit(Call(NOW + 10, "ci", "GET", "/fleets", 200))
    Pruner(store, lambda: NOW + KEPT_SECONDS + 5).prune()
    assert [call.at for call in store.calls()] == [NOW + 10]
