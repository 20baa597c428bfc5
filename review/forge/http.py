"""The HTTP client of both forges: waits out limits, repeats requests if that is safe, and makes each refusal a sentence.

The token travels in a header to the API's own host only. No redirect is followed, because it would take the token along.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from bootstrap.clock import Clock
from review.comment.quote import visible
from review.forge.sticky import ForgeError, OutcomeUnknown
from review.forge.waiting import broken_seconds, is_limited, limited_seconds

TIMEOUT_SECONDS = 30.0
TRIES = 5
PATIENCE_SECONDS = 300.0  # of all waits of one request together; a job costs money, and the review is in its log anyway
DONE = "The review is complete, and its text is in this command's output; only the comment is missing."
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Answer:
    """A usable answer: the parsed body, and the headers in lower case."""

    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class Api:
    """The API of one forge. `advice` are sentences by status, which say what the operator changes."""

    def __init__(
        self,
        forge: str,
        url: str,
        headers: Mapping[str, str],
        clock: Clock,
        advice: Mapping[int, str],
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        place = urlsplit(url)
        if place.scheme != "https" and place.hostname not in LOOPBACK:
            raise ForgeError(f"{forge}'s API is {visible(url, 100)}, and a token travels over https only. {DONE}")
        self._forge, self._clock, self._advice = forge, clock, advice
        self._url = url.rstrip("/")
        self._client = httpx.Client(
            headers={"User-Agent": "gpu-fleet", **headers}, timeout=TIMEOUT_SECONDS, transport=transport
        )

    def call(self, method: str, path: str, sent: Any = None, **query: str | int) -> Answer:
        """Send one request, and return its answer. Raises ForgeError, and OutcomeUnknown for a POST without an answer."""
        waited, url = 0.0, f"{self._url}/{path}" if path else self._url
        for tries in range(TRIES):
            try:
                answer = self._client.request(method, url, json=sent, params=query or None)
            except httpx.TransportError as error:
                if method == "POST" and not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                    raise OutcomeUnknown(self._silent(str(error) or type(error).__name__)) from None
                trouble, wait = str(error) or type(error).__name__, broken_seconds(tries)
            else:
                body, message = _parsed(answer)
                if answer.is_success:
                    return Answer(body, answer.headers)
                trouble = f"{answer.status_code} {message}".strip()
                if is_limited(answer.status_code, answer.headers, message):
                    wait = limited_seconds(answer.headers, tries, self._clock.time())
                elif answer.status_code >= 500:
                    if method == "POST":
                        raise OutcomeUnknown(self._silent(trouble))
                    wait = broken_seconds(tries)
                else:
                    raise ForgeError(self._refused(answer.status_code, message))
            waited += wait
            if tries + 1 == TRIES or waited > PATIENCE_SECONDS:
                break
            self._clock.sleep(wait)
        raise ForgeError(self._silent(trouble, wait))

    def _refused(self, status: int, message: str) -> str:
        advice = self._advice.get(status, "")
        return " ".join(
            filter(None, [f"{self._forge} refused the comment ({status}: {visible(message, 200)}).", advice, DONE])
        )

    def _silent(self, trouble: str, wait: float = 0.0) -> str:
        later = f" in {wait / 60:.0f} min" if wait > 90 else ""
        return f"{self._forge} took no comment ({visible(trouble, 200)}). Run the job again{later}. {DONE}"


def _parsed(answer: httpx.Response) -> tuple[Any, str]:
    """Return the body, and its text about an error."""
    try:
        body = json.loads(answer.content) if answer.content else None
    except ValueError:
        return None, "an answer that is no JSON"
    if not isinstance(body, dict):
        return body, ""
    messages = [body.get("message") or body.get("error") or "", *(body.get("errors") or [])]
    return body, "; ".join(one if isinstance(one, str) else json.dumps(one) for one in messages if one)
