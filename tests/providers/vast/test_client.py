"""The HTTP client: every refusal is sorted by what the caller does next, and no doubt passes for an answer."""

import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from providers.vast.api import errors
from providers.vast.api.client import VastClient
from providers.vast.api.rate_limit import NoRateLimit
from providers.vast.api.response_cache import ResponseCache
from tests.doubles.clock import FakeClock

KEY = "a-very-secret-account-key"
EDGE = "<html><title>403 Forbidden</title><center>cloudflare</center></html>"
Handler = Callable[[httpx.Request], httpx.Response]


def client(
    *answers: httpx.Response | Exception | Handler,
) -> tuple[VastClient, list[httpx.Request], FakeClock]:
    """A client whose wire gives the answers in order, the last one again and again."""
    queue = list(answers)
    seen: list[httpx.Request] = []
    clock = FakeClock()

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    return VastClient("http://market", KEY, NoRateLimit(), clock, httpx.MockTransport(handler)), seen, clock


def sharing(folder: Path, *answers: httpx.Response) -> tuple[VastClient, list[httpx.Request], FakeClock]:
    """The same, sharing answers through a folder."""
    made, seen, clock = client(*answers)
    made._shared = ResponseCache(folder)
    return made, seen, clock


def reply(status: int = 200, **body: Any) -> httpx.Response:
    return httpx.Response(status, json=body)


def test_the_key_travels_in_the_header_only() -> None:
    market, seen, _ = client(reply(offers=[]))

    market.search({"limit": 64})

    assert seen[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in str(seen[0].url)
    assert KEY not in repr(market)


def test_the_clients_of_a_process_read_the_trusted_authorities_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: dict[int, object] = {}
    whole = ssl.SSLContext.load_verify_locations
    noted = lambda *a, **k: (read.setdefault(len(read), a), whole(*a, **k))  # noqa: E731
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", noted)

    for _ in range(3):
        VastClient("https://market", KEY, NoRateLimit(), FakeClock()).close()

    assert len(read) <= 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(404, success=False, error="auth_error", msg="Invalid user key"), errors.CredentialsRefused),
        (
            reply(403, success=False, error="auth_error", msg="This action requires login."),
            errors.CredentialsRefused,
        ),
        (reply(404, success=False, msg="Session expired. Please log in again."), errors.CredentialsRefused),
        (
            reply(400, success=False, error="insufficient_credit", msg="Your account lacks credit"),
            errors.NoCredit,
        ),
        (
            reply(200, success=False, error="insufficient_credit", msg="Your account lacks credit"),
            errors.NoCredit,
        ),
        (reply(400, success=False, error="invalid_args", msg="error 400/3467: bad"), errors.RequestInvalid),
        (
            reply(404, success=False, error="invalid_args", msg="no_such_ask 7 is not available"),
            errors.OfferGone,
        ),
        (reply(410, success=False, error="no_such_ask", msg="is no longer available"), errors.OfferGone),
        (reply(502), errors.OutcomeUnknown),
        (httpx.Response(403, html=EDGE), errors.OutcomeUnknown),
        (httpx.Response(401, text="Unauthorized"), errors.OutcomeUnknown),
        (reply(403, error_code=1010), errors.OutcomeUnknown),
        (reply(403, success=False, error="not_authorized", msg="no scope"), errors.CredentialsRefused),
        (httpx.Response(200, text="<html>gateway</html>"), errors.OutcomeUnknown),
        (httpx.Response(200, json=None), errors.OutcomeUnknown),
        (httpx.ReadTimeout("slow"), errors.OutcomeUnknown),
        (httpx.RemoteProtocolError("dropped"), errors.OutcomeUnknown),
    ],
)
def test_renting_is_refused_in_one_of_our_words_and_never_repeated(
    answer: httpx.Response | Exception, kind: type[errors.VastError]
) -> None:
    market, seen, _ = client(answer)

    with pytest.raises(kind) as raised:
        market.rent(7, {"label": "x"})

    assert len(seen) == 1
    assert KEY not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "invalid_args"), (410, "no_such_ask"), (500, "server_error"), (429, "rate_limit_exceeded")],
)
def test_a_refusal_that_left_a_contract_behind_carries_its_id(status: int, code: str) -> None:
    market, _, _ = client(reply(status, success=False, error=code, msg="bid too low", new_contract=55))

    with pytest.raises(errors.OfferGone) as raised:
        market.rent(7, {})

    assert (raised.value.offer_id, raised.value.instance_id) == (7, 55)


@pytest.mark.parametrize("status", [200, 400])
def test_a_lack_of_credit_that_left_a_contract_behind_carries_its_id(status: int) -> None:
    market, _, _ = client(reply(status, success=False, error="insufficient_credit", msg="no", new_contract="55"))

    with pytest.raises(errors.NoCredit) as raised:
        market.rent(7, {})

    assert raised.value.instance_id == 55


def test_every_call_names_us_and_no_library() -> None:
    market, seen, _ = client(reply(success=True, result_url="http://logs/x"), httpx.Response(200, text="hello"))

    market.log(5)

    assert [request.headers["user-agent"] for request in seen] == ["gpu-fleet", "gpu-fleet"]


def test_a_page_of_the_edge_is_waited_out() -> None:
    market, seen, _ = client(httpx.Response(403, html=EDGE), reply(credit=1.0))

    market.verify_key()

    assert len(seen) == 2


@pytest.mark.parametrize(
    "answer",
    [reply(404, success=False, error="invalid_id", msg="no log"), httpx.Response(404, html="<html>404</html>")],
)
def test_a_log_that_is_not_there_is_not_there_yet(answer: httpx.Response) -> None:
    market, seen, _ = client(answer)

    assert market.log(5) == ""
    assert len(seen) == 1


@pytest.mark.parametrize("code", ["no_such_instance", "not_found"])
def test_absence_may_be_a_404(code: str) -> None:
    assert client(reply(404, success=False, error=code, msg="Instance 5 not found."))[0].show(5) is None


def test_a_429_is_waited_out_as_told_and_renting_goes_on() -> None:
    slow = httpx.Response(429, json={"detail": "API requests too frequent"}, headers={"retry-after": "7"})
    plain = httpx.Response(429, text="API requests too frequent: endpoint threshold=4.5")
    market, seen, clock = client(slow, plain, reply(success=True, new_contract=9))

    assert market.rent(7, {}) == 9
    assert len(seen) == 3
    assert clock.slept[0] == 7


def test_reads_are_repeated_after_doubt() -> None:
    market, seen, _ = client(reply(503), httpx.ConnectError("refused"), reply(offers=[]))

    assert market.search({}) == []
    assert len(seen) == 3


@pytest.mark.parametrize("body", [{}, {"success": True}, {"instances": {}}, {"instances": "none"}])
def test_an_answer_of_another_shape_is_not_an_absence(body: dict[str, Any]) -> None:
    market, _, _ = client(reply(**body))

    with pytest.raises(errors.OutcomeUnknown):
        market.show(5)


def test_absence_is_said_by_null_alone() -> None:
    market, _, _ = client(reply(instances=None))

    assert market.show(5) is None


def test_a_list_is_read_to_its_last_page() -> None:
    def page(request: httpx.Request) -> httpx.Response:
        token = request.url.params.get("after_token")
        rows = [{"id": n} for n in (range(25) if token is None else range(25, 30))]
        found = len(rows)
        return reply(
            instances=rows, instances_found=found, total_instances=30, next_token="t" if token is None else None
        )

    market, seen, _ = client(page)

    assert [row.id for row in market.instances("lab")] == list(range(30))
    assert json.loads(seen[0].url.params["select_filters"]) == {"label": {"eq": "lab"}}


@pytest.mark.parametrize("body", ["", [], None, {"instances": None}, {"success": True}])
def test_a_list_of_another_shape_is_a_doubt(body: Any) -> None:
    market, _, _ = client(httpx.Response(200, json=body))

    with pytest.raises(errors.OutcomeUnknown):
        market.instances()


def test_a_list_short_of_a_page_is_a_doubt() -> None:
    market, _, _ = client(reply(instances=[{"id": 1}], instances_found=1, total_instances=30, next_token=None))

    with pytest.raises(errors.OutcomeUnknown, match="1 instances listed of 30"):
        market.instances()


def test_a_page_short_of_what_it_counts_is_a_doubt() -> None:
    market, _, _ = client(reply(instances=[{"id": 1}], instances_found=2, next_token=None))

    with pytest.raises(errors.OutcomeUnknown, match="1 instances listed of 2"):
        market.instances()


def test_a_total_that_is_counted_without_the_filter_makes_no_list_of_a_label_short() -> None:
    market, _, _ = client(
        reply(instances=[{"id": 1, "label": "lab"}], instances_found=1, total_instances=42, label_counts={"lab": 1})
    )

    assert [row.id for row in market.instances("lab")] == [1]


def test_the_retired_list_is_no_empty_account() -> None:
    market, _, _ = client(reply(410, success=False, error="deprecated_endpoint", msg="Use /api/v1/instances/ instead"))

    with pytest.raises(errors.RequestInvalid):
        market.instances()


def test_destroying_what_is_not_there_is_accepted_but_a_bad_key_is_not() -> None:
    market, _, _ = client(reply(404, error="no_such_instance", msg="Instance 5 not found."))
    market.destroy(5)

    market, _, _ = client(reply(404, success=False, error="auth_error", msg="Invalid user key"))
    with pytest.raises(errors.CredentialsRefused):
        market.destroy(5)


def test_a_log_is_fetched_without_the_key() -> None:
    def wire(request: httpx.Request) -> httpx.Response:
        if request.url.host == "logs":
            assert "authorization" not in request.headers
            return httpx.Response(200, text="hello")
        return reply(success=True, result_url="http://logs/x.log")

    market, _, _ = client(wire)

    assert market.log(5) == "hello"


def test_a_key_that_was_good_a_moment_ago_is_not_asked_about_again(tmp_path: Path) -> None:
    market, seen, clock = sharing(tmp_path, reply(credit=5.0))

    market.verify_key()
    clock.sleep(20)
    market.verify_key()
    assert len(seen) == 1
    clock.sleep(20)
    market.verify_key()
    assert len(seen) == 2


def test_a_key_that_was_refused_is_asked_about_every_time(tmp_path: Path) -> None:
    market, seen, _ = sharing(tmp_path, reply(404, error="auth_error", msg="no such key"))

    for _try in range(2):
        with pytest.raises(errors.CredentialsRefused):
            market.verify_key()

    assert len(seen) == 2
