# Long because one class holds all HTTP calls to the market, one method for each call.
"""The only HTTP client of the market: one method for each call, every answer validated.

Each refusal becomes an error that says what to do next.

The client retries two kinds of answer, and waits through the clock. It repeats any call after a 429, which never took
effect. It repeats search, show, list, logs and destroy after any unusable answer, because repeating these is safe.

The client repeats a rent after a 429 only, because the API has no idempotency key. After any other doubt the caller
looks for its label. The key travels in the Authorization header only.
"""

import hashlib
import json
import ssl
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel

from bootstrap.clock import Clock, Until
from bootstrap.errors import TookTooLong
from providers.vast.api import errors
from providers.vast.api.attached_keys import Ask, attach, detach
from providers.vast.api.charges import read_charges
from providers.vast.api.contract_calls import increases, start
from providers.vast.api.error_responses import json_object, parse_answer
from providers.vast.api.instance import Instance
from providers.vast.api.log_file import download_log
from providers.vast.api.offer import Offer
from providers.vast.api.offer_claims import Unclaimed
from providers.vast.api.rate_limit import RateLimit
from providers.vast.api.response_cache import ResponseCache, dumped, question
from providers.vast.api.responses import (
    Account,
    Charge,
    Charges,
    DestroyResponse,
    ListResponse,
    Log,
    Offers,
    PriceIncrease,
    Rented,
    ShowResponse,
)
from providers.vast.api.retry import again
from providers.vast.api.rows import Listing, read

USER_AGENT = "gpu-fleet"  # the proxy in front of the market refuses default names of HTTP libraries
TIMEOUT_SECONDS = 30.0
RETRY_SECONDS = 1.0  # before the second try; doubled before each further one
PAGE = 25  # the maximum number of rows in a page of the instances list
LAST_LINES = 300  # how many last lines of a log we keep
SHORT_LISTS = 3  # how often we ask for a list that holds fewer instances than it counts
LARGE = 8 * PAGE  # with more instances we ask by label, not for the whole account
FRESH_SECONDS = 30.0  # market seconds; others may take an offer between search and rent anyway
EVERYTHING = "instances"

Answer = TypeVar("Answer", bound=BaseModel)
Value = TypeVar("Value")


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    """Return the TLS authorities for all connections of this process. Reading them takes 20 ms and 0.8 MB each time."""
    return httpx.create_ssl_context()


class VastClient(Unclaimed):
    """One account on one market. Thread-safe: its only state is the connection pool.

    `url` is the market's base URL. Tests pass their own `transport`. `time_scale` is the number of market seconds in
    one real second. With `shared`, all processes that use the account share answers. The client passes each whole list
    of the account to `on_list`. Raises only `errors.VastError`.
    """

    def __init__(
        self,
        url: str,
        key: str,
        pace: RateLimit,
        clock: Clock,
        transport: httpx.BaseTransport | None = None,
        time_scale: float = 1.0,
        shared: ResponseCache | None = None,
        on_list: Callable[[list[Instance]], None] = lambda _rows: None,
    ) -> None:
        self._on_list, self._shared, self._time_scale = on_list, shared, time_scale
        self._whose = f"account of {hashlib.sha256(key.encode()).hexdigest()}"
        self._pace, self._clock, self._retry_seconds = pace, clock, RETRY_SECONDS / time_scale
        agent = {"User-Agent": USER_AGENT}
        self._plain = httpx.Client(headers=agent, timeout=TIMEOUT_SECONDS, transport=transport, verify=_trust())
        self._http = httpx.Client(
            base_url=url,
            headers={**agent, "Authorization": f"Bearer {key}"},
            timeout=TIMEOUT_SECONDS,
            transport=transport,
            verify=_trust(),
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.close()
        self._plain.close()

    def search(self, query: dict[str, Any]) -> Listing[Offer]:
        """Return the market's offers for a query, in the market's order; 64 at most, half a minute old at most.

        The listing keeps rows that do not parse separately.
        """

        def ask() -> tuple[float, Listing[Offer]]:
            asked = self._clock.monotonic()
            return asked, read(self._ask("search", "POST", "/api/v0/bundles/", Offers, query).offers, Offer)

        if self._shared is None:
            return self._again("search", ask)[1]
        rows = self._shared.get(
            question(query), self._recently(), lambda: dumped(*self._again("search", ask)), self._clock
        )
        return read(rows, Offer)

    def forget_search(self, query: dict[str, Any]) -> None:
        """Drop the cached answer to a query, because a listed offer is gone."""
        if self._shared:
            self._shared.forget(question(query))

    def rent(self, offer_id: int, body: dict[str, Any]) -> int:
        """Rent an offer and return the new instance's id.

        Raises OfferGone, NoCredit, RequestInvalid or CredentialsRefused if nothing was rented. Exception: OfferGone or
        NoCredit with an instance id means that a contract exists. Raises OutcomeUnknown if the rent may have happened;
        look for its label.
        """

        ask = partial(self._ask, "rent", "PUT", f"/api/v0/asks/{offer_id}/", Rented, body)
        try:
            return self._again("rent", ask, repeat=(errors.RateLimited,)).new_contract
        except errors.OfferGone as gone:
            gone.offer_id = offer_id
            raise

    def show(self, instance_id: int) -> Instance | None:
        """Return an instance, or None if the market accepts our key and says that no such instance exists.

        None in the first minute or so of a rental proves little, because the market's reads lag behind.
        """
        path = f"/api/v0/instances/{instance_id}/?owner=me"
        found = self._of_one("show", lambda: self._ask("show", "GET", path, ShowResponse)).instances
        return next(iter(found), None) if isinstance(found, list) else found

    def should_look_by_id(self, instance_id: int) -> bool:
        """Note that we wait for an instance. Return True to look at it by id, False to read the shared list."""
        return self._shared is None or self._shared.waiters.should_look_by_id(instance_id, self._clock)

    def instances(self, label: str | None = None, age_seconds: float = 0.0) -> Listing[Instance]:
        """Return the account's instances, all or with one label. Reads every page and checks the market's count.

        With `age_seconds` an answer up to that old is enough, from any process that shares answers with us. The listing
        keeps rows that do not parse separately. Raises OutcomeUnknown if a row with the requested label never parses.
        """
        for look in range(SHORT_LISTS):
            found = self._listed(label, age_seconds if look == 0 else 0.0)
            doubts = [row for row in found.odd if label is not None and row.label == label]
            if not doubts:
                return found
            self._clock.sleep(self._retry_seconds)
        raise errors.OutcomeUnknown("list", doubts[0].description)

    def _listed(self, label: str | None, age_seconds: float) -> Listing[Instance]:
        if self._shared is None or (label is not None and self._is_large()):
            return self._pages(label)[1]
        ask = lambda: dumped(*self._pages(None))  # noqa: E731 -- the reader sees the question here
        rows = self._shared.get(EVERYTHING, self._clock.monotonic(), ask, self._clock, age_seconds)
        found = read(rows, Instance)
        return found if label is None else Listing([one for one in found if one.label == label], found.odd)

    def destroy(self, instance_id: int) -> None:
        """Ask the market to end an instance. Returns if it accepts or has no such instance; confirms no end."""
        self._again(
            "destroy", partial(self._ask, "destroy", "DELETE", f"/api/v0/instances/{instance_id}/", DestroyResponse, {})
        )

    def attach_key(self, instance_id: int, public_key: str) -> None:
        """Add an OpenSSH public key to an instance. Adding a key twice is no error."""
        attach(self._ask_of("ssh"), instance_id, public_key)

    def detach_key(self, instance_id: int, public_key: str) -> None:
        """Remove a public key from an instance. Removing an unknown key is no error."""
        detach(self._ask_of("ssh"), instance_id, public_key)

    def log(self, instance_id: int, lines: int = 1000) -> str:
        """Return the part of the instance's log that the market has; empty if it has none yet."""
        path = f"/api/v0/instances/request_logs/{instance_id}/"
        url = self._of_one("logs", lambda: self._ask("logs", "PUT", path, Log, {"tail": str(lines)})).result_url
        return download_log(self._plain, url, self._clock) if url else ""

    def last_log(self, instance_id: int, daemon: bool, seconds: float) -> str:
        """Return the end of the container's log, or of the landlord's daemon's if `daemon`. Asks once; empty if none.

        Raises TookTooLong if our turn did not come within `seconds` (real), and the same errors as `log`.
        """
        clock = Until(self._clock, self._clock.monotonic() + seconds)
        body = {"tail": str(LAST_LINES), **({"daemon_logs": "true"} if daemon else {})}
        path = f"/api/v0/instances/request_logs/{instance_id}/"
        with self._pace.turn("logs", clock):
            url = self._ask("logs", "PUT", path, Log, body, seconds=seconds).result_url
        try:
            return download_log(self._plain, url, clock, seconds) if url else ""
        except TookTooLong:
            return ""

    def start(self, instance_id: int) -> None:
        """Ask the market to start a stopped instance. Raises RequestInvalid if its GPU is taken."""
        start(self._ask_of("change"), instance_id)

    def price_increases(self) -> Listing[PriceIncrease]:
        """Return the price increases that landlords announced, half a minute old at most."""
        return increases(self._ask_of("list"), self._shared, self._recently(), self._clock)

    def charges(self, since: float, until: float) -> list[Charge]:
        """Return the account's charges between two unix times, from every page. Needs a key that may read billing."""
        ask = partial(self._ask, "charges", "GET", "/api/v0/charges/", Charges)
        return read_charges(lambda params: self._again("charges", partial(ask, params=params)), since, until)

    def verify_key(self) -> None:
        """Raise CredentialsRefused if the market rejects the key, or rejected it within the last half minute."""
        self._account(self._recently())

    def account(self) -> Account:
        """Return the key's account, which never changes. Raises CredentialsRefused if the key may not read it."""
        return self._account(float("-inf"))

    def _account(self, since: float) -> Account:
        def ask() -> tuple[float, Listing[Account]]:
            asked = self._clock.monotonic()
            return asked, Listing([self._ask("account", "GET", "/api/v0/users/current/", Account)])

        if self._shared is None:
            return self._again("account", ask)[1][0]
        rows = self._shared.get(self._whose, since, lambda: dumped(*self._again("account", ask)), self._clock)
        return read(rows, Account)[0]

    def _recently(self) -> float:
        return self._clock.monotonic() - FRESH_SECONDS / self._time_scale

    def _is_large(self) -> bool:
        known = self._shared.last(EVERYTHING, float("-inf"), self._clock) if self._shared else None
        return known is not None and len(known) > LARGE

    def _pages(self, label: str | None) -> tuple[float, Listing[Instance]]:
        for _look in range(SHORT_LISTS):
            began, page = self._again("list", partial(self._page, label, None))
            rows, short = list(page.instances), page.is_short
            while page.next_token:
                _asked, page = self._again("list", partial(self._page, label, page.next_token))
                rows += page.instances
                short = short or page.is_short
            if not short and len(rows) >= page.expected(label):
                found = read(rows, Instance)
                known = [*found, *(Instance(id=one.id, label=one.label) for one in found.odd if one.id is not None)]
                # A row without an id may be any instance, so such a list does not prove that any is gone.
                if label is None and len(known) == len(rows):
                    self._on_list(known)
                return began, found
        counted = max(page.expected(label), page.instances_found or 0)
        raise errors.OutcomeUnknown("list", f"{len(rows)} instances listed of {counted} that it counts")

    def _page(self, label: str | None, token: str | None) -> tuple[float, ListResponse]:
        asked = self._clock.monotonic()
        params = {"limit": str(PAGE)}
        if label is not None:
            params["select_filters"] = json.dumps({"label": {"eq": label}})
        if token:
            params["after_token"] = token
        return asked, self._ask("list", "GET", "/api/v1/instances/", ListResponse, params=params)

    def _again(
        self, call: str, call_market: Callable[[], Value], repeat: tuple[type[errors.VastError], ...] = errors.DOUBTS
    ) -> Value:
        turn = partial(self._pace.turn, call, self._clock)
        if self._shared is None:
            return again(call_market, repeat, self._retry_seconds, self._clock, turn)
        outage = self._shared.outage
        with outage.noticing(self._clock):
            return again(
                call_market,
                repeat,
                self._retry_seconds,
                self._clock,
                turn,
                lambda: outage.tries_after_doubt(self._clock),
            )

    def _of_one(self, call: str, call_market: Callable[[], Value]) -> Value:
        """Ask about one instance. No process can share the answer, but in an outage all share the doubt."""
        ask = partial(self._again, call, call_market)
        return ask() if self._shared is None else self._shared.probed(ask, self._clock)

    def _ask_of(self, call: str) -> Ask:
        return lambda method, path, model, body: self._again(call, lambda: self._ask(call, method, path, model, body))

    def _ask(
        self,
        call: str,
        method: str,
        path: str,
        model: type[Answer],
        body: dict[str, Any] | None = None,
        params: dict[str, str] | None = None,
        seconds: float = TIMEOUT_SECONDS,
    ) -> Answer:
        return parse_answer(call, model, *self._send(call, method, path, body, params, seconds))

    def _send(
        self,
        call: str,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        params: dict[str, str] | None,
        seconds: float,
    ) -> tuple[int, str | None, dict[str, Any]]:
        """Return the status, the text of Retry-After, and the body's object; empty if it is no JSON object."""
        try:
            answer = self._http.request(method, path, json=body, params=params, timeout=seconds)
        except httpx.ConnectError as error:
            place = f"{self._http.base_url.host}:{self._http.base_url.port or 443}"
            raise errors.OutcomeUnknown(call, f"no server answers at {place}; for the sandbox: `make up`") from error
        except httpx.TransportError as error:
            raise errors.OutcomeUnknown(call, f"{type(error).__name__} at {self._http.base_url.host}") from error
        return answer.status_code, answer.headers.get("retry-after"), json_object(answer.content)
