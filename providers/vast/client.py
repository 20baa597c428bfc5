"""The only HTTP to the market: one method a verb, every answer validated, every refusal turned into an error that says
what to do.

Repeated by itself, with waits through the clock: a 429 (which never took effect), and any unusable answer to a call that
may be asked twice (search, show, list, logs, destroy). Renting is repeated after a 429 only, because the API has no
idempotency key: after any other doubt the caller looks its label up. The key travels in the Authorization header and
appears nowhere else.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from bootstrap.clock import Clock
from providers.vast import errors
from providers.vast.instances import Instance
from providers.vast.offers import Offer
from providers.vast.pace import Pace
from providers.vast.recent import RecentSearches

DEFAULT_URL = "https://console.vast.ai"
TIMEOUT_SECONDS = 30.0
ATTEMPTS = 6
RETRY_SECONDS = 1.0  # before the second try; doubled before each further one
LOG_TRIES, LOG_PAUSE_SECONDS = 30, 0.3  # as patient as the official client
PAGE = 25  # the most rows a page of the instances list has
DOUBTS = (errors.RateLimited, errors.OutcomeUnknown)
NOT_FOUND = {"no_such_instance", "not_found"}

Answer = TypeVar("Answer", bound=BaseModel)
Value = TypeVar("Value")


class _Offers(BaseModel):
    offers: list[Offer]


class _Rented(BaseModel):
    success: bool
    new_contract: int


class _One(BaseModel):
    # Required on purpose: an empty object must not read as "there is no such instance".
    instances: Instance | list[Instance] | None


class _Page(BaseModel):
    model_config = ConfigDict(extra="ignore")

    instances: list[Instance]
    instances_found: int | None = None
    next_token: str | None = None


class _Log(BaseModel):
    result_url: str


class _Accepted(BaseModel):
    success: bool | None = None


class _Account(BaseModel):
    credit: float | None = None


class VastClient:
    """One account on one market. Thread-safe: it keeps no state but the connection pool.

    `url` is the base URL of the market, `retry_seconds` the wait before a second try; `transport` lets tests hand in their
    own wire. With `searches` it shares what others found a moment ago. Raises only `errors.VastError`.
    """

    def __init__(
        self,
        url: str,
        key: str,
        pace: Pace,
        clock: Clock,
        transport: httpx.BaseTransport | None = None,
        retry_seconds: float = RETRY_SECONDS,
        searches: RecentSearches | None = None,
    ) -> None:
        self._searches = searches
        self._pace = pace
        self._clock = clock
        self._retry_seconds = retry_seconds
        self._plain = httpx.Client(timeout=TIMEOUT_SECONDS, transport=transport)
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=TIMEOUT_SECONDS,
            transport=transport,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
        self._plain.close()

    def search(self, query: dict[str, Any]) -> list[Offer]:
        """Return the market's offers for a query; 64 at most, ordered by the market."""

        def ask() -> list[Offer]:
            return self._again("search", lambda: self._ask("search", "POST", "/api/v0/bundles/", _Offers, query)).offers

        return self._searches.get(query, ask, self._clock) if self._searches else ask()

    def rent(self, offer_id: int, body: dict[str, Any]) -> int:
        """Rent an offer and return the new instance's id.

        Raises OfferGone, NoCredit, RequestInvalid, CredentialsRefused (nothing was rented, except where OfferGone carries
        an instance id) and OutcomeUnknown (look the label up).
        """

        def once() -> int:
            rented = self._ask("rent", "PUT", f"/api/v0/asks/{offer_id}/", _Rented, body)
            return rented.new_contract

        try:
            return self._again("rent", once, repeat=(errors.RateLimited,))
        except errors.OfferGone as gone:
            gone.offer_id = offer_id
            if self._searches:
                self._searches.forget()
            raise

    def show(self, instance_id: int) -> Instance | None:
        """Return an instance; None where the market, knowing our key, says that there is none.

        None within the first minute or so of a rental means little: reads lag behind.
        """
        path = f"/api/v0/instances/{instance_id}/?owner=me"
        found = self._again("show", lambda: self._ask("show", "GET", path, _One)).instances
        if isinstance(found, list):
            return found[0] if found else None
        return found

    def instances(self, label: str | None = None) -> list[Instance]:
        """Return all instances of the account, or those with a label; every page, checked against the market's count."""
        return [*self._pages(label)]

    def destroy(self, instance_id: int) -> None:
        """Ask for the end of an instance. Returns where it is accepted or the instance is not there; confirms nothing."""
        path = f"/api/v0/instances/{instance_id}/"
        self._again("destroy", lambda: self._ask("destroy", "DELETE", path, _Accepted, {}))

    def log(self, instance_id: int, lines: int = 1000) -> str:
        """Return the instance's log as far as the market has it; empty while there is none."""
        path = f"/api/v0/instances/request_logs/{instance_id}/"
        url = self._again("logs", lambda: self._ask("logs", "PUT", path, _Log, {"tail": str(lines)})).result_url
        # A storage URL of the market's own choice, fetched without our key; anything but 200 means "not written yet".
        for _try in range(LOG_TRIES):
            try:
                answer = self._plain.get(url)
            except httpx.HTTPError:
                return ""
            if answer.status_code == 200:
                return answer.text
            self._clock.sleep(LOG_PAUSE_SECONDS)
        return ""

    def verify_key(self) -> None:
        """Raise CredentialsRefused where the market does not know the key."""
        self._again("account", lambda: self._ask("account", "GET", "/api/v0/users/current/", _Account))

    def _pages(self, label: str | None) -> Iterator[Instance]:
        token: str | None = None
        seen = 0
        while True:
            page = self._again("list", partial(self._page, label, token))
            seen += len(page.instances)
            yield from page.instances
            token = page.next_token
            if not token:
                break
        if page.instances_found is not None and seen < page.instances_found:
            raise errors.OutcomeUnknown("list", f"{seen} instances listed of {page.instances_found} that it counts")

    def _page(self, label: str | None, token: str | None) -> _Page:
        params = {"limit": str(PAGE)}
        if label is not None:
            params["select_filters"] = json.dumps({"label": {"eq": label}})
        if token:
            params["after_token"] = token
        return self._ask("list", "GET", "/api/v1/instances/", _Page, params=params)

    def _again(self, call: str, once: Callable[[], Value], repeat: tuple[type[Exception], ...] = DOUBTS) -> Value:
        def wait(state: Any) -> float:
            error = state.outcome.exception()
            hint = error.retry_after if isinstance(error, errors.RateLimited) else None
            return min(30.0, hint if hint is not None else self._retry_seconds * 2.0 ** (state.attempt_number - 1))

        def paced() -> Value:
            self._pace.wait(call, self._clock)
            return once()

        policy = Retrying(
            retry=retry_if_exception_type(repeat),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait,
            sleep=self._clock.sleep,
            reraise=True,
        )
        return policy(paced)

    def _ask(
        self,
        call: str,
        method: str,
        path: str,
        model: type[Answer],
        body: dict[str, Any] | None = None,
        params: dict[str, str] | None = None,
    ) -> Answer:
        try:
            answer = self._http.request(method, path, json=body, params=params)
        except httpx.ConnectError as error:
            place = f"{self._http.base_url.host}:{self._http.base_url.port or 443}"
            raise errors.OutcomeUnknown(call, f"nobody answers at {place}; for the sandbox: `make up`") from error
        except httpx.TransportError as error:
            raise errors.OutcomeUnknown(call, f"{type(error).__name__} at {self._http.base_url.host}") from error
        payload = _json_object(answer)
        code, text = str(payload.get("error") or ""), str(payload.get("msg") or payload.get("detail") or "")
        if answer.status_code == 200 and payload.get("success") is not False:
            try:
                return model.model_validate(payload)
            except ValidationError as error:
                fields = ", ".join(".".join(map(str, row["loc"])) for row in error.errors()[:3])
                raise errors.OutcomeUnknown(call, f"an answer of another shape, at: {fields or 'the top'}") from error
        if call == "destroy" and code in NOT_FOUND:
            return model.model_validate({})
        raise _refusal(call, answer, code, text, payload)


def _json_object(answer: httpx.Response) -> dict[str, Any]:
    try:
        payload = answer.json()
    except ValueError:
        payload = None
    return payload if isinstance(payload, dict) else {}


def _refusal(call: str, answer: httpx.Response, code: str, text: str, payload: dict[str, Any]) -> errors.VastError:
    """Sort a refusal by what the caller does about it; the code and text decide, because statuses mislead."""
    status = answer.status_code
    said = f"HTTP {status} {code} {text}".strip()
    if status == 429:
        return errors.RateLimited(call, _retry_after(answer, payload))
    if code == "auth_error" or status in {401, 403} or "session expired" in text.lower():
        return errors.CredentialsRefused(
            f"vast.ai does not accept the key for '{call}' ({said}). Nothing is known about any instance from this answer. "
            "Set a valid key: pulumi config set --secret gpu-fleet:vastApiKey"
        )
    if call == "rent" and (status == 410 or "no_such_ask" in f"{code} {text}" or code == "no_such_ask"):
        contract = payload.get("new_contract")
        return errors.OfferGone(0, said, int(contract) if contract is not None else None)
    if code in {"insufficient_credit", "spend_rate_limit", "missing_billing"} or "lacks credit" in text:
        return errors.NoCredit(f"vast.ai refuses to rent: {text or code}. Add credit on its billing page.")
    if status >= 500 or not payload:
        return errors.OutcomeUnknown(call, said)
    if call == "rent" and payload.get("new_contract") is not None:
        return errors.OfferGone(0, said, int(payload["new_contract"]))
    return errors.RequestInvalid(f"vast.ai refuses '{call}': {said}")


def _retry_after(answer: httpx.Response, payload: dict[str, Any]) -> float | None:
    for value in (answer.headers.get("retry-after"), payload.get("retry_after")):
        try:
            return float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            continue
    return None
