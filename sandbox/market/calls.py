"""What every call to the market goes through: key, faults, threshold, body; and what becomes of its answer."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.faults import Occasion, Subject
from sandbox.market.books import Books
from sandbox.market.contracts import Contract
from sandbox.market.faults import answers
from sandbox.market.faults.lists import Lists
from sandbox.market.faults.replies import garbled
from sandbox.market.filters import FilterInvalid
from sandbox.market.refusals import Refused, invalid, key_unknown, login_required, out_of_scope
from sandbox.market.thresholds import Thresholds

ROBOTS = ("Python-urllib",)  # the edge in front of the live market turns away whoever names no program


@dataclass(frozen=True)
class Desk:
    """What the handlers share. `key` is the account's; `credit` in $ is what it began with."""

    books: Books
    thresholds: Thresholds
    key: str
    credit: float
    logs: dict[str, "LogFile"]
    lists: Lists

    def credit_left(self) -> float:
        """Return the account's spendable money in $."""
        return 0.0 if self.books.credit_gone else self.credit - self.books.usd_billed()


@dataclass
class LogFile:
    """One log behind its own URL; `asked` counts the reads so far, because the first comes before the upload is done;
    with `late` they all do."""

    text: str
    asked: int = 0
    late: bool = False


@dataclass(frozen=True)
class Call:
    """One authenticated call. `body` is {} where there is none; `guest` is the contract whose own key was used."""

    desk: Desk
    request: Request
    body: dict[str, Any]
    guest: Contract | None
    occasion: Occasion

    def number(self, name: str = "id") -> int:
        """Return a number out of the path. Raises Refused; also where a container's key reaches for another instance."""
        try:
            number = int(self.request.path_params[name])
        except ValueError:
            raise invalid(f"{self.request.path_params[name]!r} is not an id", "invalid_args") from None
        if self.guest is not None and name == "id" and self.guest.id != number:
            raise out_of_scope()
        return number


Handler = Callable[[Call], Any]


def endpoint(
    desk: Desk, threshold: str, handler: Handler, guests: bool = False
) -> Callable[[Request], Awaitable[Response]]:
    """Wrap a handler. It returns what is to be sent as JSON, or a Response. `guests`: a container's own key may call."""

    async def call(request: Request) -> Response:
        faults = desk.books.faults
        if request.headers.get("user-agent", "").startswith(ROBOTS):
            return answers.edge_forbids()
        try:
            identity, guest = _who(desk, request)
            raw = await request.body()
            occasion = _occasion(desk, threshold, request, raw)
            played = answers.instead(faults, desk.thresholds, threshold, occasion)
            if played is not None:
                return played
            refusal = desk.thresholds.check(identity, threshold)
            if refusal is not None:
                return answers.too_many(refusal)
            if guest is not None and not guests:
                raise out_of_scope()
            answer = handler(Call(desk, request, _body(raw), guest, occasion))
        except Refused as refused:
            return answers.refused(refused)
        except FilterInvalid as wrong:
            return JSONResponse(invalid(str(wrong), wrong.code).body(), 400)
        response = answer if isinstance(answer, Response) else JSONResponse(answer)
        return await garbled(faults, threshold, occasion, request, response, desk.books.clock.time_scale)

    return call


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


def _occasion(desk: Desk, kind: str, request: Request, raw: bytes) -> Occasion:
    """Say which instances a call is about: those of a list, the one in the path, or the one whose label is sent."""
    books = desk.books
    if kind == "list":
        return Occasion(tuple(one.subject for one in books.visible()), kind)
    if "id" in request.path_params:
        named = [one.subject for one in books.all() if str(one.id) == request.path_params["id"]]
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
