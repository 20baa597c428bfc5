"""What every call to the market goes through before it is answered: key, threshold, body; and how an answer is written."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from sandbox.market.books import Books
from sandbox.market.contracts import Contract
from sandbox.market.filters import FilterInvalid
from sandbox.market.refusals import Refused, invalid, key_unknown, login_required, out_of_scope
from sandbox.market.thresholds import Refusal, Thresholds


@dataclass(frozen=True)
class Desk:
    """What the handlers share. `key` is the account's; `credit` in $ is what it began with."""

    books: Books
    thresholds: Thresholds
    key: str
    credit: float
    logs: dict[str, "LogFile"]

    def credit_left(self) -> float:
        """Return the account's spendable money in $."""
        return self.credit - self.books.usd_billed()


@dataclass
class LogFile:
    """One log behind its own URL; `asked` counts the reads so far, because the first comes before the upload is done."""

    text: str
    asked: int = 0


@dataclass(frozen=True)
class Call:
    """One authenticated call. `body` is {} where there is none; `guest` is the contract whose own key was used."""

    desk: Desk
    request: Request
    body: dict[str, Any]
    guest: Contract | None

    def number(self, name: str = "id") -> int:
        """Return a number out of the path. Raises Refused; also where a container's key reaches for another instance."""
        try:
            number = int(self.request.path_params[name])
        except ValueError:
            raise invalid(f"{self.request.path_params[name]!r} is not an id", "invalid_args") from None
        if self.guest is not None and name == "id" and self.guest.id != number:
            raise out_of_scope()
        return number


class Dropped(Response):
    """No answer at all: the connection ends."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 -- ASGI's three
        """Abort the connection. ASGI has no word for that, so the server's own transport is reached for."""
        receive.__self__.transport.abort()
        await asyncio.sleep(0.01)  # until the server has noticed, else it would try to answer 500


Handler = Callable[[Call], Any]


def endpoint(
    desk: Desk, threshold: str, handler: Handler, guests: bool = False
) -> Callable[[Request], Awaitable[Response]]:
    """Wrap a handler. It returns what is to be sent as JSON, or a Response. `guests`: a container's own key may call."""

    async def call(request: Request) -> Response:
        try:
            identity, guest = _who(desk, request)
            refusal = _too_soon(desk, identity, threshold)
            if refusal is not None:
                return too_many(refusal)
            if guest is not None and not guests:
                raise out_of_scope()
            answer = handler(Call(desk, request, _body(await request.body()), guest))
        except Refused as refused:
            return JSONResponse(refused.body(), refused.status)
        except FilterInvalid as wrong:
            return JSONResponse(invalid(str(wrong), wrong.code).body(), 400)
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    return call


def too_many(refusal: Refusal) -> Response:
    """Return a 429 in its form."""
    headers = {} if refusal.retry_after is None else {"Retry-After": f"{refusal.retry_after:.3f}"}
    if refusal.body is None:
        return PlainTextResponse(refusal.text, 429, headers)
    return JSONResponse(refusal.body, 429, headers)


def _who(desk: Desk, request: Request) -> tuple[str, Contract | None]:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        key = request.query_params.get("api_key", "")
    key = key.strip()
    if not key:
        raise login_required()
    if key == desk.key:
        return key, None
    guest = desk.books.owner_of(key)
    if guest is None:
        raise key_unknown()
    return key, guest


def _too_soon(desk: Desk, identity: str, threshold: str) -> Refusal | None:
    if desk.books.faults.take("rate-limited"):
        return desk.thresholds.refusal(threshold, 0.1)
    return desk.thresholds.check(identity, threshold)


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
