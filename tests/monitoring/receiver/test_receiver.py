"""The receiver with a Prometheus behind it: what a sender may write, and that its trouble stays its own."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from monitoring.prometheus import Prometheus
from monitoring.receiver.admission import Sender
from monitoring.receiver.app import PATH, Receiver
from monitoring.receiver.wire import MOST_PACKED, pack
from providers.identity.metrics_credentials import Reporter
from sandbox.services.monitoring import Monitoring
from sandbox.settings import STACK_CONFIG
from tests.doubles.receiver import Reports, sample

NAME = "vast_instance_idle_seconds"


@pytest.fixture(scope="module")
def monitoring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitoring]:
    with Monitoring(tmp_path_factory.mktemp("door") / "monitoring", STACK_CONFIG) as running:
        yield running


def reports(monitoring: Monitoring, folder: Path, instance_id: str, key: str = "") -> Reports:
    ca = folder / "ca.pem"
    ca.write_text(monitoring.ca_pem)
    reporter = Reporter(instance_id, f"chat-{instance_id}", "abc")
    url = monitoring.urls["door"]
    return Reports(url, ca, reporter, key) if key else Reports(url, ca, reporter)


def stored(monitoring: Monitoring, expression: str) -> list[tuple[dict[str, str], float]]:
    found = Prometheus(monitoring.urls["prometheus"]).query(expression)
    return [(dict(one.labels), one.value) for one in found]


@pytest.mark.monitoring
@pytest.mark.xdist_group("monitoring")
def test_a_host_writes_its_own_series_and_reads_nothing(monitoring: Monitoring, tmp_path: Path) -> None:
    one = reports(monitoring, tmp_path, "101")

    assert one.send([sample(NAME, 5, time.time(), instance_id="999", name="other-9")]).status_code == 204

    [(labels, value)] = stored(monitoring, f'{NAME}{{instance_id="101"}}')
    assert (labels["name"], labels["fleet"], labels["stack_id"], value) == ("chat-101", "chat", "abc", 5)
    assert stored(monitoring, f'{NAME}{{instance_id="999"}}') == []
    with one.client() as http:
        others = (
            "/api/v1/query?query=up",
            "/metrics",
            "/",
            "/-/reload",
            "/api/v1/write/",
            "/api/v1/admin/tsdb/snapshot",
        )
        assert {http.get(path).status_code for path in others} == {404}
        assert http.get(PATH).status_code == 405
        assert http.post("/api/v1/query", data={"query": "up"}).status_code == 404


@pytest.mark.monitoring
@pytest.mark.xdist_group("monitoring")
def test_no_other_credential_opens_and_the_attempt_is_counted(monitoring: Monitoring, tmp_path: Path) -> None:
    now = time.time()

    assert reports(monitoring, tmp_path, "102", "another key of 16").send([sample(NAME, 1, now)]).status_code == 401
    with reports(monitoring, tmp_path, "102").client() as http:
        http.auth = httpx.Auth()  # sends no credential
        assert http.post(PATH, content=b"").status_code == 401
    assert stored(monitoring, f'{NAME}{{instance_id="102"}}') == []


@pytest.mark.monitoring
@pytest.mark.xdist_group("monitoring")
def test_a_clock_two_hours_ahead_harms_nobody_else(monitoring: Monitoring, tmp_path: Path) -> None:
    fast, other = reports(monitoring, tmp_path, "103"), reports(monitoring, tmp_path, "104")
    now = time.time()

    refused = fast.send([sample(NAME, 1, now + 7200), sample("vast_instance_inflight_requests", 2, now)])
    assert refused.status_code == 400
    assert "1 by clock; the rest is stored" in refused.text
    for step in range(20):
        fast.send([sample(NAME, step, now + 7200 + step)])
        assert other.send([sample(NAME, step, now + step / 1000)]).status_code == 204
    assert stored(monitoring, f'{NAME}{{instance_id="104"}}')[0][1] == 19
    assert stored(monitoring, 'vast_instance_inflight_requests{instance_id="103"}')[0][1] == 2


@pytest.mark.monitoring
@pytest.mark.xdist_group("monitoring")
def test_what_came_late_is_stored_where_it_belongs(monitoring: Monitoring, tmp_path: Path) -> None:
    one, now = reports(monitoring, tmp_path, "105"), time.time()

    assert one.send([sample(NAME, 9, now)]).status_code == 204
    assert one.send([sample(NAME, 3, now - 600)]).status_code == 204

    found = Prometheus(monitoring.urls["prometheus"]).query(f'{NAME}{{instance_id="105"}}', now - 590)
    assert found[0].value == 3


@pytest.mark.monitoring
@pytest.mark.xdist_group("monitoring")
def test_what_is_too_large_or_no_request_is_refused(monitoring: Monitoring, tmp_path: Path) -> None:
    one = reports(monitoring, tmp_path, "106")

    assert one.post(b"x" * (MOST_PACKED + 1)).status_code == 413
    assert one.post(b"rubbish").status_code == 400
    assert one.post(b"").status_code == 400
    assert one.send([]).status_code == 204


def receiver(upstream: httpx.MockTransport) -> tuple[TestClient, Receiver]:
    sender = Sender("7", "chat-0", "abc")
    made = Receiver(
        lambda user, password: sender if (user, password) == ("me", "right") else None,
        "http://prometheus",
        httpx.AsyncClient(transport=upstream),
    )
    return TestClient(made.app), made


@pytest.mark.parametrize(("upstream", "answer"), [(500, 503), (503, 503), (400, 400), (204, 204), (0, 503)])
def test_a_prometheus_that_does_not_take_it_now_is_the_senders_to_try_again(upstream: int, answer: int) -> None:
    def behind(_request: httpx.Request) -> httpx.Response:
        if not upstream:
            raise httpx.ConnectError("nobody there")
        return httpx.Response(upstream, text="out of order sample")

    client, _ = receiver(httpx.MockTransport(behind))
    reply = client.post(PATH, content=pack([sample(NAME, 1, time.time())]), auth=("me", "right"))

    assert reply.status_code == answer


def test_a_flood_is_told_to_wait_and_counted() -> None:
    client, made = receiver(httpx.MockTransport(lambda _request: httpx.Response(204)))
    body = pack([sample(NAME, n, time.time(), code=str(n % 50)) for n in range(20_000)])
    codes = [client.post(PATH, content=body, auth=("me", "right")).status_code for _ in range(4)]

    assert codes == [204, 204, 204, 429]
    labels = {"instance_id": "7", "name": "chat-0", "fleet": "chat", "reason": "rate"}
    assert made.registry.get_sample_value("vast_door_refused_total", labels) == 1
    assert made.registry.get_sample_value("vast_door_requests_total", {"code": "429"}) == 1


def test_who_was_given_back_is_shut_out_and_counted() -> None:
    made = Receiver(
        lambda *_: Sender("7", "chat-0", "abc"), "http://prometheus", ended=lambda sender: sender.name == "chat-0"
    )
    reply = TestClient(made.app).post(PATH, content=pack([sample(NAME, 1, time.time())]), auth=("me", "right"))

    assert (reply.status_code, reply.text) == (403, "this instance is not rented any more")
    labels = {"instance_id": "7", "name": "chat-0", "fleet": "chat", "reason": "ended"}
    assert made.registry.get_sample_value("vast_door_refused_total", labels) == 1


@pytest.mark.parametrize("header", ["", "Basic", "Basic !", "Basic bWU=", "Bearer right", "Basic bWU6d3Jvbmc="])
def test_what_is_no_credential_is_401(header: str) -> None:
    client, _ = receiver(httpx.MockTransport(lambda _request: httpx.Response(204)))

    assert client.post(PATH, content=b"", headers={"Authorization": header}).status_code == 401
