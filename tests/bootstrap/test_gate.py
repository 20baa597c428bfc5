"""The gate as hosts run it, the real Caddy: who gets in, over HTTP/1.1 and HTTP/2, and what is closed by default."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.doubles.gate import ADDRESS, TOKEN, Gate, running_gate
from tests.doubles.raw_http import Answer, RawClient
from tests.doubles.until import until

pytestmark = pytest.mark.service
OTHER = "other-" + "z" * 37
BODY = {"model": "tiny", "prompt": "Hello"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    with running_gate(tmp_path_factory.mktemp("gate")) as gate:
        yield gate


@pytest.fixture
def gate(shared: Gate) -> Gate:
    """The running gate, open, with TOKEN as its only token."""
    shared.write_token(TOKEN)
    shared.write_token(None, "token.previous")
    shared.open()
    shared.upstream.seen.clear()
    shared.upstream.go_on.set()
    shared.upstream.halfway = None
    return shared


@pytest.fixture(params=[False, True], ids=["http1", "http2"])
def ask(request: pytest.FixtureRequest, gate: Gate) -> Callable[..., Answer]:
    """Ask for a completion with these Authorization headers, byte for byte, over either protocol."""
    client = RawClient(gate.port, gate.tls.ca, request.param)
    return lambda *values: client.ask("POST", "/v1/completions", [("Authorization", value) for value in values])


def test_the_good_token_gets_in_and_goes_no_further(gate: Gate, ask: Callable[..., Answer]) -> None:
    assert ask(f"Bearer {TOKEN}").status == 200
    assert gate.upstream.seen == [("POST", "/v1/completions", None)]


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {OTHER}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        TOKEN,
        f"Basic {TOKEN}",
        "Bearer *",
        "*",
        "Bearer {file./etc/hostname}",
        f"bearer {TOKEN}",
    ],
)
def test_anything_else_does_not(gate: Gate, ask: Callable[..., Answer], authorization: str) -> None:
    answer = ask(authorization) if authorization else ask()

    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert gate.upstream.seen == []


@pytest.mark.parametrize("content", [None, "", "\n", "*", "*" * 40, "short", "Bearer", "{http.request.header.X}"])
@pytest.mark.parametrize("file", ["token", "token.previous"])
def test_a_damaged_token_file_lets_nobody_in(
    gate: Gate, ask: Callable[..., Answer], file: str, content: str | None
) -> None:
    gate.write_token(None)
    gate.write_token(content, file)

    for headers in (
        ["Bearer "],
        ["Bearer"],
        ["Bearer x"],
        [f"Bearer {TOKEN}"],
        [f"Bearer {content}"],
        [f"Bearer {TOKEN}", "Bearer "],  # one header for each guard
        [f"Bearer {TOKEN}", f"Bearer {content}"],
    ):
        assert ask(*[header.replace("\n", "") for header in headers]).status == 401
    assert gate.upstream.seen == []


def test_a_token_is_changed_by_rewriting_its_file(gate: Gate, ask: Callable[..., Answer]) -> None:
    gate.write_token(OTHER + "\n")

    assert ask(f"Bearer {OTHER}").status == 200
    assert ask(f"Bearer {TOKEN}").status == 401


def test_the_previous_token_opens_until_its_file_is_gone(gate: Gate, ask: Callable[..., Answer]) -> None:
    gate.write_token(OTHER)
    gate.write_token(TOKEN, "token.previous")

    assert [ask(f"Bearer {token}").status for token in (OTHER, TOKEN)] == [200, 200]

    gate.write_token(None, "token.previous")

    assert [ask(f"Bearer {token}").status for token in (OTHER, TOKEN)] == [200, 401]


def test_without_the_open_file_it_is_closed(gate: Gate, ask: Callable[..., Answer]) -> None:
    gate.close()

    answer = ask(f"Bearer {TOKEN}")

    assert (answer.status, answer.headers["retry-after"]) == (503, "30")
    assert ask().status == 401
    assert gate.upstream.seen == []

    gate.open()

    assert ask(f"Bearer {TOKEN}").status == 200


def test_a_folder_or_a_dangling_link_does_not_open_it(gate: Gate, ask: Callable[..., Answer]) -> None:
    marker = gate.run / "open"
    marker.unlink()
    marker.mkdir()
    as_folder = ask(f"Bearer {TOKEN}").status
    marker.rmdir()
    marker.symlink_to("/nonexistent/open")
    as_link = ask(f"Bearer {TOKEN}").status
    marker.unlink()

    assert (as_folder, as_link) == (503, 503)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/metrics",
        "//metrics",
        "/invocations",
        "/inference/v1/generate",
        "/docs",
        "/redoc",
        "/openapi.json",
        "/version",
        "/load",
        "/ping",
        "/tokenize",
        "/detokenize",
        "/generative_scoring",
        "/kv_event_sources",
        "/v1",
        "/v1/../metrics",
        "/v1/..%2fmetrics",
        "/v1/%2e%2e/metrics",
        "/v1//../metrics",
        "/v1/models/../../metrics",
        "/V1/../metrics",
        "/health/../metrics",
        "/health/",
        "/%6detrics",
        "http://x/metrics",
    ],
)
def test_what_is_not_allowed_is_not_there(gate: Gate, target: str) -> None:
    """Written to the socket as it is: a client library would clean these paths up."""
    client = RawClient(gate.port, gate.tls.ca)
    for method in ("GET", "POST"):
        for headers in ([], [("Authorization", f"Bearer {TOKEN}")]):
            assert client.ask(method, target, headers).status == 404
    assert gate.upstream.seen == []


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("POST", 404)])
def test_health_is_for_anybody_to_get(gate: Gate, method: str, status: int) -> None:
    assert RawClient(gate.port, gate.tls.ca).ask(method, "/health").status == status


def test_health_takes_no_token_with_it(gate: Gate) -> None:
    RawClient(gate.port, gate.tls.ca).ask("GET", "/health", [("Authorization", f"Bearer {TOKEN}")])

    assert gate.upstream.seen == [("GET", "/health", None)]


def test_a_path_with_a_matrix_parameter_is_for_tokens_only(gate: Gate) -> None:
    """`..;` goes up a folder for some servers: it is a name like any other to the gate and to vLLM."""
    assert RawClient(gate.port, gate.tls.ca).ask("GET", "/v1/..;/metrics").status == 401
    assert gate.upstream.seen == []


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/metrics"])
def test_answers_neither_offer_http3_nor_name_the_server(gate: Gate, path: str) -> None:
    answer = RawClient(gate.port, gate.tls.ca).ask("GET", path)

    assert not {"alt-svc", "server", "via"} & set(answer.headers)


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_what_the_engine_writes_arrives_at_once(gate: Gate, http2: bool) -> None:
    """Without waiting for the end of the answer or for a full buffer."""
    gate.upstream.halfway = threading.Event()
    with (
        gate.client(http2) as client,
        client.stream("POST", "/v1/completions", headers={"Authorization": f"Bearer {TOKEN}"}, json=BODY) as answer,
    ):
        parts = answer.iter_raw()
        first = next(parts)
        gate.upstream.halfway.set()
        rest = b"".join(parts)

    assert len(first) < len(first + rest)
    assert b"a completion" in first + rest


def test_models_are_listed_with_a_token_only(gate: Gate) -> None:
    client = RawClient(gate.port, gate.tls.ca)

    assert client.ask("GET", "/v1/models").status == 401
    assert client.ask("GET", "/v1/models", [("Authorization", f"Bearer {TOKEN}")]).status == 200


def test_the_certificate_is_shown_for_an_address_that_only_clients_know(gate: Gate) -> None:
    """A host behind a router does not have the address in its certificate, and clients that use an IP send no name."""
    context = ssl.create_default_context(cadata=gate.tls.ca)
    with (
        socket.create_connection(("127.0.0.1", gate.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=ADDRESS) as connection,
    ):
        assert ("IP Address", ADDRESS) in (connection.getpeercert() or {})["subjectAltName"]


def test_only_admitted_requests_for_work_are_logged_and_without_what_they_said(gate: Gate) -> None:
    log = gate.run / "admitted.log"
    before = log.read_text().count("\n") if log.exists() else 0
    with gate.client() as client:
        client.get("/health")
        client.post("/v1/completions", json=BODY)
        client.get("/metrics")
        client.get("/v1/models", headers={"Authorization": f"Bearer {TOKEN}"})
        client.post("/v1/completions", headers={"Authorization": f"Bearer {TOKEN}"}, json=BODY)

    until(lambda: log.exists() and log.read_text().count("\n") == before + 1)
    assert "/v1/completions" not in log.read_text()
    assert TOKEN not in log.read_text()


def test_the_gauge_counts_what_is_under_way(gate: Gate) -> None:
    gate.upstream.go_on.clear()
    with gate.client() as client:
        asker = threading.Thread(
            target=client.post, args=("/v1/completions",), kwargs={"headers": {"Authorization": f"Bearer {TOKEN}"}}
        )
        asker.start()
        until(lambda: gate.in_flight() == 1)
        gate.close()  # does not cut what was admitted
        gate.upstream.go_on.set()
        asker.join()

    until(lambda: gate.in_flight() == 0)
    assert [seen[1] for seen in gate.upstream.seen] == ["/v1/completions"]


def test_metrics_are_on_loopback_and_only_metrics(gate: Gate) -> None:
    base = f"http://127.0.0.1:{gate.metrics_port}"

    assert httpx.get(f"{base}/metrics", trust_env=False).status_code == 200
    assert "caddy_http_requests_in_flight" in httpx.get(f"{base}/metrics", trust_env=False).text
    assert httpx.get(f"{base}/v1/models", trust_env=False).text == ""


@given(value=st.text(alphabet=st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=150))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_other_text_is_a_token(gate: Gate, value: str) -> None:
    for http2 in (False, True):
        client = RawClient(gate.port, gate.tls.ca, http2)

        status = client.ask("POST", "/v1/completions", [("Authorization", b"Bearer " + value.encode("latin-1"))]).status

        assert status in {0, 400, 401}


def test_the_configuration_holds_no_token(shared: Gate) -> None:
    assert TOKEN not in Path(shared.etc / "gate.wanted").read_text()
