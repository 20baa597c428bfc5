"""The proof that a client outside is served, and nobody else: one completion through the public endpoint.

TLS is verified against the fleet's CA alone. /health proves nothing: an engine that cannot infer answers it.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import httpx
from pydantic import BaseModel, Field, ValidationError

from bootstrap.clock import Clock
from bootstrap.errors import EngineDied, GateOpen, HostKeyMismatch, HostUnreachable, StepFailed
from bootstrap.interruptible import patiently

PROMPT, TOKENS = "Hello", 4
COMPLETIONS = "/v1/completions"
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 60.0
RETRY_SECONDS = 0.5
LAST_ATTEMPT_SECONDS = 1.0
REFUSED = {400, 404, 422}  # the request, or the name of the model
FORBIDDEN = ("/metrics", "/invocations", "/docs")  # vLLM serves these without any key


@dataclass(frozen=True)
class Probe:
    """A completion: what was answered, and in how many seconds."""

    seconds: float
    text: str


class _Choice(BaseModel):
    text: str


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)


def probe(url: str, ca_pem: str, token: str, model: str, clock: Clock, deadline_s: float) -> Probe:
    """Ask `https://address:port` for a completion, again until the deadline, after proving that strangers get nothing.

    At once raises GateOpen where somebody without a token is served, HostKeyMismatch where the certificate is not of our
    CA, StepFailed where the gate does not take the token or refuses the request; waiting would change none of them. At the
    deadline raises EngineDied where the gate answers and vLLM does not, HostUnreachable where nobody does.
    """
    context = ssl.create_default_context(cadata=ca_pem)
    timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    # The proxies and certificates of the operator's environment are not ours to trust.
    with httpx.Client(base_url=url, verify=context, timeout=timeout, trust_env=False) as client:
        asker = _Asker(client, clock, clock.monotonic() + deadline_s, url)
        asker.refuses_strangers(model)
        return asker.completion(token, model)


class _Asker:
    def __init__(self, client: httpx.Client, clock: Clock, deadline: float, url: str) -> None:
        self._client, self._clock, self._deadline, self._url = client, clock, deadline, url

    def refuses_strangers(self, model: str) -> None:
        answer = self._until(lambda: self._ask(model, None), lambda answer: answer.status_code < 500)
        if answer.status_code != 401:
            raise GateOpen(
                f"{self._url} answers {answer.status_code} to a completion without a token; 401 was expected"
            )
        for path in FORBIDDEN:
            status = self._until(partial(self._client.get, path), lambda _: True).status_code
            if status != 404:
                raise GateOpen(f"{self._url}{path} answers {status} to anybody; 404 was expected")

    def completion(self, token: str, model: str) -> Probe:
        began = self._clock.monotonic()
        answer = self._until(lambda: self._ask(model, token), _is_final)
        self._raise_refusal(answer, model)
        try:
            parsed = _Completion.model_validate_json(answer.content)
        except ValidationError:
            raise EngineDied(f"{self._url} answers 200, but no completion: {answer.text[:200]!r}") from None
        return Probe(self._clock.monotonic() - began, parsed.choices[0].text)

    def _raise_refusal(self, answer: httpx.Response, model: str) -> None:
        status = answer.status_code
        if status in {401, 403}:
            raise StepFailed(
                f"{self._url} answers {status} to the token that was written there; its gate holds another"
            )
        if status in REFUSED:
            # vLLM has answered the same request inside: what refuses it out here is not vLLM, or not the one we started.
            raise StepFailed(
                f"{self._url} answers {status} to a completion of {model!r} that vLLM answered on the host: "
                f"{answer.text[:200]!r}"
            )

    def _ask(self, model: str, token: str | None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = {"model": model, "prompt": PROMPT, "max_tokens": TOKENS, "temperature": 0}
        return self._client.post(COMPLETIONS, headers=headers, json=body)

    def _until(self, ask: Callable[[], httpx.Response], good: Callable[[httpx.Response], bool]) -> httpx.Response:
        """Ask until the answer is good. Raises as `probe` does at the deadline, at once where TLS is not ours."""
        last: Exception | httpx.Response
        while True:
            try:
                left = max(self._deadline - self._clock.monotonic(), LAST_ATTEMPT_SECONDS)
                last = patiently(ask, self._clock, min(left, CONNECT_SECONDS + ANSWER_SECONDS))
                if good(last):
                    return last
            except (httpx.HTTPError, TimeoutError) as error:
                if (doubt := _doubt(error)) is not None:
                    raise HostKeyMismatch(
                        f"{self._url} shows a certificate that does not verify against the fleet's CA ({doubt}): "
                        "somebody else may be answering there; no token was sent."
                    ) from None
                last = error
            if self._clock.monotonic() > self._deadline:
                raise self._verdict(last)
            self._clock.sleep(RETRY_SECONDS)

    def _verdict(self, last: Exception | httpx.Response) -> Exception:
        if isinstance(last, httpx.Response):
            return EngineDied(f"{self._url} answers {last.status_code} instead of a completion: {last.text[:200]!r}")
        return HostUnreachable(f"{self._url} does not answer ({type(last).__name__}: {last})")


def _is_final(answer: httpx.Response) -> bool:
    return answer.status_code in {200, 401, 403, *REFUSED}


def _doubt(error: BaseException | None) -> str | None:
    """Return why TLS did not verify, None where that was not the trouble."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return None
