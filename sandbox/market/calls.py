"""Carries out a call: checks its key, plays faults, applies the threshold, reads the body, and sends the answer."""

import json
import re
import secrets
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.faults import Occasion, Subject
from sandbox.market.faults import answers
from sandbox.market.faults.lists import Lists
from sandbox.market.faults.replies import garble
from sandbox.market.keys import Keys
from sandbox.market.market import Market
from sandbox.market.protocol.api_errors import (
    NOT_EMULATED,
    ApiError,
    invalid,
    key_unknown,
    lacks_scope,
    login_required,
    out_of_scope,
    unemulated,
)
from sandbox.market.protocol.filters import FilterInvalid
from sandbox.market.protocol.thresholds import Thresholds
from sandbox.market.records.contracts import Contract

ROBOTS = ("Python-urllib",)  # the live market's edge refuses clients with a library's default name


@dataclass(frozen=True)
class Account:
    """One account on the market: its rentals, keys and money, and the rules that its calls obey.

    `key` is its first key, which opens everything; `credit` is its first payment in $. `old_list`: it still has the
    list's first version. `not_emulated` counts calls of unknown routes, and calls of known routes that want something
    the sandbox lacks.
    """

    market: Market
    thresholds: Thresholds
    key: str
    credit: float
    logs: dict[str, "LogFile"]
    lists: Lists
    old_list: bool = False
    keys: Keys = field(default_factory=Keys)
    not_emulated: Counter[str] = field(default_factory=Counter)
    number: int = 4711
    name: str = "sandbox"

    def credit_left(self) -> float:
        """Return the account's spendable money in $."""
        return 0.0 if self.market.credit_gone else self.credit - self.market.usd_billed()


@dataclass
class LogFile:
    """One log behind its own URL. `asked` counts its reads: the first one comes before the upload is done. `late`: all do."""

    text: str
    asked: int = 0
    late: bool = False


@dataclass(frozen=True)
class Call:
    """One authenticated call. `body` is {} if it was empty. `guest` is the contract whose container's key the caller used."""

    account: Account
    request: Request
    body: dict[str, Any]
    guest: Contract | None
    occasion: Occasion

    def number(self, name: str = "id") -> int:
        """Return a number of the path. Raises ApiError, also if a container's key asks for another instance."""
        try:
            number = int(self.request.path_params[name])
        except ValueError:
            raise invalid(f"{self.request.path_params[name]!r} is not an id", "invalid_args") from None
        if self.guest is not None and name == "id" and self.guest.id != number:
            raise out_of_scope()
        return number


Handler = Callable[[Call], Any]


@dataclass(frozen=True)
class Endpoint:
    """One method of one path. A key needs its `scope`. `guests`: a container's own key may call it. `is_open`: it needs no
    key."""

    method: str
    path: str
    threshold: str
    handler: Handler
    scope: str
    guests: bool = False
    is_open: bool = False


class Accounts:
    """The accounts of one market. Each has its own rentals, keys and money; all of them see the same offers."""

    def __init__(self, first: Account) -> None:
        self.first = first
        self._lock = threading.Lock()
        self._accounts = [first]

    def all(self) -> list[Account]:
        """Return every account, the oldest first."""
        with self._lock:
            return list(self._accounts)

    def named(self, name: str) -> Account:
        """Return an account, made if there is none of that name."""
        with self._lock:
            found = next((account for account in self._accounts if account.name == name), None)
            if found is None:
                number, key = self.first.number + len(self._accounts), secrets.token_hex(32)
                found = replace(
                    self.first, market=self.first.market.another_account(), number=number, name=name, key=key
                )
                self._accounts.append(found)
        return found


@dataclass(frozen=True)
class Caller:
    """The sender of a call, and its account. Thresholds count by `identity`. `guest` is the contract whose container's key
    it has. `scopes`: None for all."""

    account: Account
    identity: str
    guest: Contract | None = None
    scopes: frozenset[str] | None = None


@dataclass(frozen=True)
class Done:
    """A call that was carried out.

    `answer` is a Response, or a value to send as JSON. Faults may strike it on its way at `occasion`, and not without one.
    """

    answer: Any
    occasion: Occasion | None = None


def carry_out(accounts: Accounts, endpoint: Endpoint, request: Request, raw: bytes) -> Done:
    """Carry out a call; `raw` is its body. Calls over HTTP and calls in process both come through here."""
    account, kind = accounts.first, endpoint.threshold
    faults = account.market.faults
    if request.headers.get("user-agent", "").startswith(ROBOTS):
        return Done(answers.edge_forbids())
    try:
        caller = _identify(accounts, request, endpoint.is_open)
        account = caller.account
        occasion = _occasion(account, kind, request, raw)
        answer = answers.answer_by_fault(faults, account.thresholds, kind, occasion)
        if answer is not None:
            return Done(answer)
        refusal = account.thresholds.check(caller.identity, kind)
        if refusal is not None:
            return Done(answers.too_many(refusal))
        if caller.guest is not None and not endpoint.guests:
            raise out_of_scope()
        if caller.scopes is not None and endpoint.scope not in caller.scopes:
            raise lacks_scope(endpoint.scope)
        return Done(endpoint.handler(Call(account, request, _body(raw), caller.guest, occasion)), occasion)
    except ApiError as refused:
        if refused.code == NOT_EMULATED:
            account.not_emulated[f"{_route(request)}: {refused}"] += 1
        return Done(answers.refused(refused))
    except FilterInvalid as wrong:
        return Done(JSONResponse(invalid(str(wrong), wrong.code).body(), 400))


def http_handler(accounts: Accounts, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """Return the HTTP handler of an endpoint."""

    async def call(request: Request) -> Response:
        done = carry_out(accounts, endpoint, request, await request.body())
        return await apply_reply_faults(accounts, endpoint, request, done)

    return call


async def apply_reply_faults(accounts: Accounts, endpoint: Endpoint, request: Request, done: Done) -> Response:
    """Return the answer of a call as the client gets it: a fault may spoil it on its way."""
    market = accounts.first.market
    response = done.answer if isinstance(done.answer, Response) else JSONResponse(done.answer)
    if done.occasion is None:
        return response
    return await garble(market.faults, endpoint.threshold, done.occasion, request, response, market.clock.time_scale)


def not_emulated(account: Account, request: Request) -> Response:
    """Answer a call of a missing route with an error of its own, so that no client reads it as an empty answer; count it."""
    route = _route(request)
    account.not_emulated[route] += 1
    return answers.refused(unemulated(route))


def _route(request: Request) -> str:
    return f"{request.method} {re.sub(r'/[0-9]+(?=/|$)', '/{id}', request.url.path.rstrip('/')) or '/'}"


def _identify(accounts: Accounts, request: Request, is_open: bool) -> Caller:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        key = request.query_params.get("api_key", "")
    key = key.strip()
    if not key:
        if is_open:
            return Caller(accounts.first, request.client.host if request.client else "")
        raise login_required()
    if key == accounts.first.key:
        return Caller(accounts.first, key)
    scoped = accounts.first.keys.find(key)
    for account in accounts.all():
        if key == account.key:
            return Caller(account, key)
        if scoped is not None and scoped.account == account.number:
            return Caller(account, key, None, scoped.scopes)
        if (guest := account.market.owner_of(key)) is not None:
            return Caller(account, key, guest)
    raise key_unknown()


def _occasion(account: Account, kind: str, request: Request, raw: bytes) -> Occasion:
    """Return the instances of a call: those of a list, the one in the path, or the one whose label the body holds."""
    market = account.market
    if kind == "list":
        return Occasion(tuple(one.subject for one in market.visible()), kind)
    if "id" in request.path_params:
        named = [one.subject for one in market.all() if str(one.id) == request.path_params["id"]]
        return Occasion(tuple(named), kind)
    try:
        label = json.loads(raw)["label"]
    except (ValueError, KeyError, TypeError):
        return Occasion((), kind)
    return Occasion((Subject(0, str(label)),), kind)


def _body(raw: bytes) -> dict[str, Any]:
    if not raw.strip():
        return {}
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise invalid("Invalid json body")
    return body
