"""Prove that the public endpoint serves a client with the token and no other: ask it for one completion.

TLS is verified against the fleet's CA alone. /health proves nothing, because a vLLM that cannot infer answers it.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import httpx
from pydantic import BaseModel, Field, ValidationError

from bootstrap.clock import Clock
from bootstrap.errors import EngineDied, GateOpen, HostKeyMismatch, HostUnreachable, StepFailed
from bootstrap.interruptible import run_interruptibly

PROMPT, TOKENS = "Hello", 4
COMPLETIONS = "/v1/completions"
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 60.0
RETRY_SECONDS = 0.5
LAST_ATTEMPT_SECONDS = 1.0
REFUSED = {400, 404, 422}  # vLLM refuses the request or the model's name
FORBIDDEN = ("/metrics", "/invocations", "/docs")  # vLLM serves these without any key


@dataclass(frozen=True)
class Probe:
    """Hold a completion's text and the seconds until it came."""

    seconds: float
    text: str


class _Choice(BaseModel):
    text: str


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)


def probe(url: str, ca_pem: str, token: str, model: str, clock: Clock, deadline_s: float) -> Probe:
    """Prove that `https://address:port` refuses clients without a token, then ask it for a completion until the deadline.

    Some errors are raised at once, because waiting would not help. GateOpen: a client without a token is served.
    HostKeyMismatch: the certificate is not of our CA. StepFailed: the gate refuses the token or the request.
    At the deadline raises EngineDied if the gate answers and vLLM does not, HostUnreachable if neither does.
    """
    context = ssl.create_default_context(cadata=ca_pem)
    timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    # Ignore proxies and certificates of the operator's environment: the probe trusts only the fleet's CA.
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
            # vLLM answered the same request inside, so that another server, or another vLLM, refuses it here.
            raise StepFailed(
                f"{self._url} answers {status} to a completion of {model!r} that vLLM answered on the host: "
                f"{answer.text[:200]!r}"
            )

    def _ask(self, model: str, token: str | None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = {"model": model, "prompt": PROMPT, "max_tokens": TOKENS, "temperature": 0}
        return self._client.post(COMPLETIONS, headers=headers, json=body)

    def _until(self, ask: Callable[[], httpx.Response], good: Callable[[httpx.Response], bool]) -> httpx.Response:
        """Ask until the answer is good. Raises as `probe` does: at the deadline, and at once if TLS does not verify."""
        last: Exception | httpx.Response
        while True:
            try:
                left = max(self._deadline - self._clock.monotonic(), LAST_ATTEMPT_SECONDS)
                last = run_interruptibly(ask, self._clock, min(left, CONNECT_SECONDS + ANSWER_SECONDS))
                if good(last):
                    return last
            except (httpx.HTTPError, TimeoutError) as error:
                if (why := _tls_problem(error)) is not None:
                    raise HostKeyMismatch(
                        f"{self._url} shows a certificate that does not verify against the fleet's CA ({why}): "
                        "somebody else may be answering there; no token was sent."
                    ) from None
                last = error
            if self._clock.monotonic() > self._deadline:
                raise self._deadline_error(last)
            self._clock.sleep(RETRY_SECONDS)

    def _deadline_error(self, last: Exception | httpx.Response) -> Exception:
        if isinstance(last, httpx.Response):
            return EngineDied(f"{self._url} answers {last.status_code} instead of a completion: {last.text[:200]!r}")
        return HostUnreachable(f"{self._url} does not answer ({type(last).__name__}: {last})")


def _is_final(answer: httpx.Response) -> bool:
    return answer.status_code in {200, 401, 403, *REFUSED}


def _tls_problem(error: BaseException | None) -> str | None:
    """Return why TLS did not verify; None if the error is another one."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return None
