"""Every refusal has one shape, says what to do next, and repeats neither a key nor what was sent."""

import httpx
import pytest

from controller.offers import OffersUnknown
from controller.store.store import Store
from sandbox.services.postgres import Postgres
from tests.doubles.api import KEYS, Api, error_of, running_api

pytestmark = pytest.mark.service

WRONG: list[tuple[dict, str]] = [
    ({"model": ""}, "model"),
    ({"model": 7}, "model"),
    ({"count": 0}, "count"),
    ({"count": True}, "count"),
    ({"count": 501}, "count"),
    ({"ttl_minutes": 0}, "ttl_minutes"),
    ({"ttl_minutes": "NaN"}, "ttl_minutes"),
    ({"ttl_minutes": 1e308}, "ttl_minutes"),
    ({"gpu": "rtx4090"}, "gpu"),
]


@pytest.mark.parametrize(("body", "field"), WRONG)
def test_a_field_that_is_wrong_is_named(api: Api, body: dict, field: str) -> None:
    refused = api.ask(**body)
    error = error_of(refused)
    assert (refused.status_code, error["code"]) == (422, "invalid_request")
    assert field in error["message"]
    assert api.store.claims() == ()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"model": "\xff"}', b"[" * 60_000])
def test_a_body_that_is_no_request_is_refused(api: Api, content: bytes) -> None:
    refused = api.call("POST", "/provision", content=content, headers={"Content-Type": "application/json"})
    assert (refused.status_code, error_of(refused)["code"]) == (422, "invalid_request")


def test_what_was_sent_is_not_repeated(api: Api) -> None:
    refused = api.call("POST", "/provision", json={"model": {"key": "sesame"}, "api_key": "sesame"})
    assert refused.status_code == 422
    assert "sesame" not in refused.text


@pytest.mark.parametrize(
    ("body", "nearest"),
    [
        ({"model": "lama-3.1-8b"}, "llama-3.1-8b on RTX 4090 (fleet burst)"),
        ({"gpu_type": "h100"}, "llama-3.1-8b on RTX 4090 (fleet burst)"),
        ({"model": "llama-3.1-70b"}, "llama-3.1-70b on H100 SXM or H100 PCIE (fleet large)"),
        ({"count": 5}, "llama-3.1-8b on RTX 4090 (fleet burst)"),
    ],
)
def test_what_no_fleet_serves_is_refused_with_the_nearest(api: Api, body: dict, nearest: str) -> None:
    refused = api.ask(**body)
    error = error_of(refused)
    assert (refused.status_code, error["code"]) == (422, "no_such_fleet")
    assert error["nearest"][0] == nearest


@pytest.mark.parametrize("key", [None, "", "wrong", KEYS["ci"][:-1], KEYS["ci"] + " x", KEYS["ci"].upper()])
def test_without_a_key_of_ours_nothing_is_told(api: Api, key: str | None) -> None:
    headers = {} if key is None else {"X-API-Key": key}
    for method, path in (
        ("POST", "/provision"),
        ("GET", "/provision"),
        ("GET", "/fleets"),
        ("GET", "/provision/claim-1"),
    ):
        refused = api.call(method, path, None, headers=headers, **({"json": {}} if method == "POST" else {}))
        assert refused.status_code in (401, 422)
        if refused.status_code == 422:
            assert error_of(refused)["code"] == "invalid_request"
        else:
            assert error_of(refused)["code"] == "no_key"


def test_a_key_does_what_its_scopes_say(api: Api) -> None:
    for client, method, path, status in (
        ("viewer", "GET", "/fleets", 200),
        ("viewer", "POST", "/provision", 403),
        ("viewer", "GET", "/provision", 403),
        ("boss", "POST", "/provision", 403),
        ("boss", "GET", "/fleets", 200),
        ("boss", "GET", "/provision", 200),
        ("ci", "GET", "/fleets", 200),
    ):
        answer = api.call(method, path, client, **({"json": {"model": "llama-3.1-8b"}} if method == "POST" else {}))
        assert answer.status_code == status, (client, method, path)
        if status == 403:
            assert error_of(answer)["code"] == "scope_missing"
            assert f"clients.{client}.scopes" in error_of(answer)["next"]


def test_paths_and_methods_that_are_not_there(api: Api) -> None:
    assert error_of(api.call("GET", "/nothing"))["code"] == "no_such_path"
    assert error_of(api.call("PUT", "/provision"))["code"] == "no_such_method"
    assert error_of(api.call("GET", "/provision/%00"))["code"] == "invalid_request"
    assert error_of(api.call("GET", "/provision/" + "x" * 81))["code"] == "invalid_request"


@pytest.mark.parametrize("key", ["", "x" * 201, "ümlaut".encode("latin-1")])
def test_an_idempotency_key_is_short_plain_text(api: Api, key: str) -> None:
    refused = api.call("POST", "/provision", json={"model": "llama-3.1-8b"}, headers={"Idempotency-Key": key})
    assert (refused.status_code, error_of(refused)["code"]) == (422, "invalid_request")


def test_a_large_body_is_refused_whether_its_length_is_told_or_not(api: Api) -> None:
    def parts():
        for _ in range(100):
            yield b"x" * 10_000

    for content in (b"x" * 70_000, parts()):
        try:
            refused = api.call("POST", "/provision", content=content)
        except httpx.TransportError:
            continue  # closed before all was sent
        assert (refused.status_code, error_of(refused)["code"]) == (413, "too_large")


def test_while_nobody_knows_what_is_applied_the_answer_says_when_to_come_back(api: Api) -> None:
    api.applied = OffersUnknown("nobody has read the main stack yet")
    refused = api.ask()
    assert (refused.status_code, error_of(refused)["code"], refused.headers["Retry-After"]) == (503, "not_known", "5")
    assert api.call("GET", "/readyz", None).status_code == 503
    assert api.call("GET", "/healthz", None).status_code == 200


def test_while_postgresql_is_down_the_answer_says_when_to_come_back(tmp_path) -> None:
    server = Postgres(tmp_path / "pg")
    server.start()
    store = Store(server.dsn)
    store.open()
    try:
        with running_api(store) as api:
            id_ = api.claimed(key="k")
            assert api.call("GET", "/readyz", None).json() == {"status": "ready"}
            server.stop()
            for method, path in (("POST", "/provision"), ("GET", f"/provision/{id_}"), ("DELETE", f"/provision/{id_}")):
                body = {"json": {"model": "llama-3.1-8b"}} if method == "POST" else {}
                refused = api.call(method, path, **body)  # type: ignore[arg-type]
                assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
                assert error_of(refused)["code"] == "store_down"
                assert str(tmp_path) not in refused.text
            assert error_of(api.call("GET", "/readyz", None))["code"] == "store_down"
            assert api.call("GET", "/healthz", None).status_code == 200
            assert "vast_controller_store_up 0.0" in api.call("GET", "/metrics", None).text
            server.start()
            answers = (api.ask(key="k") for _turn in range(20))
            again = next(answer for answer in answers if answer.status_code == 202)
            assert again.json()["id"] == id_
    finally:
        store.close()
        server.remove()


def test_an_unexpected_failure_shows_nothing_of_itself(api: Api, caplog) -> None:
    api.applied = RuntimeError("sesame")
    for path in ("/fleets", "/readyz"):
        refused = api.call("GET", path)
        assert (refused.status_code, error_of(refused)["code"]) == (500, "failed")
        assert "sesame" not in refused.text
    assert [call.status for call in api.store.calls()] == [500]
    assert "sesame" in caplog.text  # for the operator


def test_metrics_tell_slots_and_claims_by_fleet(api: Api) -> None:
    id_ = api.claimed(count=2)
    api.serve(api.rent(id_))
    text = api.call("GET", "/metrics", None).text
    assert 'vast_controller_claimed_instances{fleet="burst"} 2.0' in text
    assert 'vast_controller_slots{fleet="burst",state="ready"} 1.0' in text
    assert 'vast_controller_slots{fleet="burst",state="renting"} 0.0' in text
    assert "vast_controller_store_up 1.0" in text
    assert 'vast_controller_calls_total{code="202",method="POST",path="/provision"} 1.0' in text


def test_openapi_describes_every_path_and_error(api: Api) -> None:
    found = api.call("GET", "/openapi.json", None).json()
    assert set(found["paths"]) == {
        "/provision",
        "/provision/{id}",
        "/provision/{id}/events",
        "/provision/{id}/renew",
        "/fleets",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    assert found["components"]["securitySchemes"]["APIKeyHeader"]["name"] == "X-API-Key"
    post = found["paths"]["/provision"]["post"]
    assert {"202", "401", "403", "422", "503"} <= set(post["responses"])
    assert post["responses"]["422"]["content"]["application/json"]["schema"]["$ref"].endswith("ErrorAnswer")
