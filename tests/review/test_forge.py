"""One comment of a stack on a pull request, on both forges, whatever they answer."""

import json
from collections.abc import Iterator

import httpx
import pytest

from review.comment.render import Comment
from review.forge.http import PATIENCE_SECONDS, Api
from review.forge.places import forge_of
from review.forge.sticky import Did, Forge, ForgeError, publish
from review.forge.waiting import is_limited, limited_seconds
from tests.doubles.clock import FakeClock
from tests.doubles.forge import BOT, OTHER_TOKEN, TOKEN, Fault, ForgeDouble, forge_double

MARKER = "<!-- gpu-fleet review dev -->"
FIRST = Comment(MARKER, f"{MARKER}\n### first\n", f"{MARKER}\n### nothing changes any more\n")
SECOND = Comment(MARKER, f"{MARKER}\n### second\n", FIRST.over_old)
QUIET = Comment(MARKER, "", FIRST.over_old)
BOTH = pytest.mark.parametrize("name", ["github", "gitlab"])


@pytest.fixture
def server() -> Iterator[ForgeDouble]:
    with forge_double() as forge:
        yield forge


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def at(server: ForgeDouble, name: str, clock: FakeClock, token: str = TOKEN, number: int = 12) -> Forge:
    environment = server.github(number, token) if name == "github" else server.gitlab(number, token)
    return forge_of(name, environment, clock, number)


@BOTH
def test_complaint_2_one_comment_is_created_then_updated_then_left_alone(
    server: ForgeDouble, clock: FakeClock, name: str
) -> None:
    forge = at(server, name, clock)

    assert [publish(forge, one) for one in (FIRST, SECOND, SECOND)] == [Did.CREATED, Did.UPDATED, Did.UNCHANGED]
    assert server.bodies(12) == [SECOND.body]
    assert server.methods() == ["POST", "PATCH" if name == "github" else "PUT"]


@BOTH
def test_complaint_2_it_is_found_behind_many_pages_of_others(server: ForgeDouble, clock: FakeClock, name: str) -> None:
    for index in range(150):
        server.say(12, "ann", f"comment {index}")
    server.say(12, BOT, FIRST.body.replace("\n", "\r\n"))
    for index in range(120):
        server.say(12, BOT, f"another job's comment {index}, which names {MARKER}")

    assert publish(at(server, name, clock), FIRST) is Did.UNCHANGED
    assert publish(at(server, name, clock), SECOND) is Did.UPDATED
    assert server.bodies(12)[0] == SECOND.body
    assert len(server.rows[12]) == 271


@BOTH
def test_complaint_2_of_two_own_comments_the_oldest_stays(server: ForgeDouble, clock: FakeClock, name: str) -> None:
    server.say(12, BOT, FIRST.body)
    server.say(12, BOT, FIRST.body)

    assert publish(at(server, name, clock), SECOND) is Did.UPDATED
    assert server.bodies(12) == [SECOND.body]


@BOTH
def test_a_comment_of_somebody_else_with_our_marker_is_left_alone(
    server: ForgeDouble, clock: FakeClock, name: str
) -> None:
    foreign = server.say(12, "ann", FIRST.body)
    server.say(12, "ann", FIRST.body, system=True)
    server.say(12, "github-actions", FIRST.body)

    assert publish(at(server, name, clock), SECOND) is Did.CREATED
    assert foreign.body == FIRST.body
    assert publish(at(server, name, clock, OTHER_TOKEN), SECOND) is Did.UPDATED, "as ann it is her own"


@BOTH
def test_two_stacks_have_a_comment_each(server: ForgeDouble, clock: FakeClock, name: str) -> None:
    other = Comment("<!-- gpu-fleet review prod -->", "<!-- gpu-fleet review prod -->\nx", "")

    assert publish(at(server, name, clock), FIRST) is Did.CREATED
    assert publish(at(server, name, clock), other) is Did.CREATED
    assert len(server.bodies(12)) == 2


@BOTH
def test_complaint_3_nothing_is_posted_if_nothing_changes_and_an_earlier_comment_says_so(
    server: ForgeDouble, clock: FakeClock, name: str
) -> None:
    assert publish(at(server, name, clock), QUIET) is Did.SILENT
    assert server.methods() == []
    publish(at(server, name, clock), FIRST)
    assert publish(at(server, name, clock), QUIET) is Did.UPDATED
    assert publish(at(server, name, clock), QUIET) is Did.UNCHANGED
    assert server.bodies(12) == [QUIET.over_old]


@BOTH
def test_complaint_1_a_comment_that_the_forge_finds_too_long_is_refused_once_with_its_reason(
    server: ForgeDouble, clock: FakeClock, name: str
) -> None:
    long = Comment(MARKER, MARKER + "\n" + "x" * 70_000, "")

    with pytest.raises(ForgeError, match=r"422.*Body is too long.*only the comment is missing"):
        publish(at(server, name, clock), long)
    assert server.methods() == ["POST"]
    assert clock.slept == []


@BOTH
@pytest.mark.parametrize(
    ("headers", "waits"),
    [
        ({"Retry-After": "17"}, [17.0]),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(FakeClock().start) + 30)}, [30.0]),
        ({}, [60.0]),
    ],
)
@pytest.mark.parametrize("status", [403, 429])
def test_a_limit_is_waited_out_as_the_forge_says(
    server: ForgeDouble, clock: FakeClock, name: str, status: int, headers: dict[str, str], waits: list[float]
) -> None:
    server.faults.append(Fault("GET", status, headers, "You have exceeded a secondary rate limit"))

    assert publish(at(server, name, clock), FIRST) is Did.CREATED
    assert clock.slept == waits
    assert server.bodies(12) == [FIRST.body]


@BOTH
def test_a_limited_write_is_repeated_because_it_took_no_effect(
    server: ForgeDouble, clock: FakeClock, name: str
) -> None:
    forge = at(server, name, clock)
    publish(forge, FIRST)
    server.faults.extend([Fault("PATCH" if name == "github" else "PUT", 429, {"Retry-After": "3"})] * 2)

    assert publish(forge, SECOND) is Did.UPDATED
    assert clock.slept == [3.0, 3.0]
    assert server.bodies(12) == [SECOND.body]


@BOTH
def test_a_limit_that_lasts_too_long_says_when_to_come_back(server: ForgeDouble, clock: FakeClock, name: str) -> None:
    server.faults.append(Fault("GET", 403, {"Retry-After": "3600"}, "API rate limit exceeded"))

    with pytest.raises(ForgeError, match=r"API rate limit exceeded.*Run the job again in 60 min"):
        publish(at(server, name, clock), FIRST)
    assert sum(clock.slept) <= PATIENCE_SECONDS


def test_a_secondary_limit_without_a_time_waits_longer_each_time() -> None:
    assert [limited_seconds({}, tries, 0.0) for tries in range(3)] == [60.0, 120.0, 240.0]
    assert limited_seconds({"retry-after": "soon"}, 0, 0.0) == 60.0
    assert not is_limited(403, {}, "Resource not accessible by integration")
    assert not is_limited(404, {"retry-after": "1"}, "")


@pytest.mark.parametrize(
    ("name", "message", "advice"),
    [
        ("github", "Resource not accessible by integration", "pull-requests: write"),
        ("gitlab", "403 Forbidden - insufficient_scope", "project access token with the scope api"),
    ],
)
def test_a_token_without_the_permission_is_told_what_to_give_it(
    server: ForgeDouble, clock: FakeClock, name: str, message: str, advice: str
) -> None:
    server.faults.append(Fault("GET", 403, message=message))

    with pytest.raises(ForgeError) as raised:
        publish(at(server, name, clock), FIRST)
    assert message in str(raised.value)
    assert advice in str(raised.value)
    assert clock.slept == []


@BOTH
def test_a_token_that_is_none_and_a_pull_request_that_is_none(server: ForgeDouble, clock: FakeClock, name: str) -> None:
    with pytest.raises(ForgeError, match="401: Bad credentials"):
        publish(at(server, name, clock, token="expired-token-000000"), FIRST)
    with pytest.raises(ForgeError, match=r"404: Not Found.*does not see that"):
        publish(at(server, name, clock, number=404), FIRST)


@BOTH
@pytest.mark.parametrize("done", [True, False])
def test_a_create_without_an_answer_is_looked_for_before_it_is_repeated(
    server: ForgeDouble, clock: FakeClock, name: str, done: bool
) -> None:
    server.say(12, "ann", "hello")
    forge = at(server, name, clock)
    list(forge.comments())  # asks whose token it is, which is a POST at GitHub, too
    server.faults.append(Fault("POST", 502, message="Bad Gateway", done=done))

    assert publish(forge, FIRST) in {Did.CREATED, Did.UNCHANGED}
    assert server.bodies(12) == [FIRST.body]


@BOTH
def test_a_forge_that_stays_broken_is_a_sentence(server: ForgeDouble, clock: FakeClock, name: str) -> None:
    server.faults.extend(Fault("GET", 503, message="unicorns") for _ in range(9))

    with pytest.raises(ForgeError, match=r"took no comment \(503 unicorns\). Run the job again"):
        publish(at(server, name, clock), FIRST)


@BOTH
def test_the_token_is_in_no_url(server: ForgeDouble, clock: FakeClock, name: str) -> None:
    publish(at(server, name, clock), FIRST)

    assert server.calls
    assert not [call for call in server.calls if TOKEN in call or "token" in call.lower()]


def test_a_token_never_travels_in_the_clear_and_follows_no_redirect(clock: FakeClock) -> None:
    with pytest.raises(ForgeError, match="https only"):
        Api("GitHub", "http://github.example", {}, clock, {})
    seen = []

    def moved(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.host)
        return httpx.Response(301, headers={"Location": "https://evil.example/"}, json={"message": "Moved Permanently"})

    api = Api("GitHub", "https://api.example", {"Authorization": "x"}, clock, {}, httpx.MockTransport(moved))
    with pytest.raises(ForgeError, match="301: Moved Permanently"):
        api.call("GET", "repos/a/b")
    assert seen == ["api.example"]


def test_what_a_forge_says_reaches_the_terminal_as_text_only(clock: FakeClock) -> None:
    loud = httpx.MockTransport(lambda _: httpx.Response(418, json={"message": "\x1b[31m\u202e" + "x" * 9999}))

    with pytest.raises(ForgeError) as raised:
        Api("GitHub", "https://api.example", {}, clock, {}, loud).call("GET", "")
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1, 2", b"null", b"7", b'"text"', b"[null, 3, {}]"])
@BOTH
def test_an_answer_of_any_form_is_an_error_or_no_comment(clock: FakeClock, name: str, body: bytes) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    forge = forge_of(name, ForgeDouble("https://x").github() | ForgeDouble("https://x").gitlab(), clock, 1)
    for attribute in ("_api", "_graphql"):
        if hasattr(forge, attribute):
            setattr(forge, attribute, Api(name, "https://x", {}, clock, {}, transport))

    if body.startswith(b"[null"):
        assert list(forge.comments()) == []
    else:
        with pytest.raises(ForgeError):
            list(forge.comments())


def test_the_double_answers_as_the_api_of_the_forge_does_for_a_token_of_a_job(server: ForgeDouble) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}

    refused = httpx.get(f"{server.url}/user", headers=headers)
    assert (refused.status_code, json.loads(refused.text)["message"]) == (403, "Resource not accessible by integration")
