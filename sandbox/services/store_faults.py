"""A reverse proxy in front of the object store that plays the store's faults, and else has no tags and lists no folders."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.faults import Faults, Occasion
from sandbox.services.dropped import abort
from sandbox.services.store_manners import (
    NO_TAGS,
    LateBuckets,
    SharedLine,
    asks_for_tags,
    bucket_made,
    bucket_of,
    error_text,
    listed_folder,
    wants_md5,
    without_folder,
)

SLOW_SECONDS = 10.0
SILENT_SECONDS = 20.0
SLICE = 4096  # of a slow answer: small, so that every waiting client often gets a part
METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE"]
HOP_BY_HOP = {b"connection", b"keep-alive", b"transfer-encoding", b"expect", b"te", b"upgrade"}
# Fault -> HTTP status, S3's code, S3's message.
REFUSALS = {
    "store-throttled": (429, "TooManyRequests", "Too many requests. Please try again later."),
    "store-slow-down": (503, "SlowDown", "Please reduce your request rate."),
    "store-error": (500, "InternalError", "We encountered an internal error. Please try again."),
    "store-forbidden": (403, "AccessDenied", "Access Denied."),
}


@dataclass(frozen=True)
class Manners:
    """The duration of a store's faults in seconds, and the state that its two proxies share."""

    slow_seconds: float = SLOW_SECONDS
    silent_seconds: float = SILENT_SECONDS
    late: LateBuckets = field(default_factory=LateBuckets)
    line: SharedLine = field(default_factory=SharedLine)


def proxy(endpoint: str, faults: Faults, manners: Manners) -> Starlette:
    """Return the proxy of the store at `endpoint` as an ASGI application."""
    store = httpx.AsyncClient(base_url=endpoint, timeout=None, limits=httpx.Limits(max_connections=None))

    async def handle(request: Request) -> Response:
        about = Occasion(call=request.method.lower())
        made = bucket_made(request.method, request.url.path, request.url.query)
        if not made and manners.late.hides(bucket_of(request.url.path)):
            return _refusal(404, "NoSuchBucket", "The specified bucket does not exist")
        if refusal := _refused(request, faults, about):
            return refusal
        if faults.take("store-times-out", about):
            await asyncio.sleep(manners.silent_seconds)
            return _NoAnswer()
        if faults.take("store-slow", about):
            await asyncio.sleep(manners.slow_seconds)
        answer = await _forward(store, request)
        if made and answer.is_success and faults.take("store-bucket-late", about):
            manners.late.hide(made)
        if answer.is_success and (folder := listed_folder(request.method, request.url.path, request.url.query)):
            return await _listed(answer, folder)
        if request.method != "GET" or not answer.is_success or int(answer.headers.get("content-length", 0)) < 2:
            return _Passed(answer, None)
        damage = next((name for name in ("store-truncated", "store-flipped") if faults.take(name, about)), None)
        if slow := faults.take("store-slow-for-all", about):
            return _Slowly(answer, damage, manners.line, lambda: faults.lasting(slow))
        return _Passed(answer, damage)

    return Starlette(routes=[Route("/{path:path}", handle, methods=METHODS)])


def _refused(request: Request, faults: Faults, about: Occasion) -> Response | None:
    if asks_for_tags(request.url.query) and not faults.take("store-has-tags", about):
        return _refusal(*NO_TAGS)
    if (
        wants_md5(request.method, request.url.query)
        and "content-md5" not in request.headers
        and faults.take("store-wants-md5", about)
    ):
        return _refusal(400, "InvalidRequest", "Missing required header for this request: Content-MD5")
    name = next((name for name in REFUSALS if faults.take(name, about)), None)
    return None if name is None else _refusal(*REFUSALS[name])


async def _forward(store: httpx.AsyncClient, request: Request) -> httpx.Response:
    raw = request.scope["raw_path"] + (b"?" + request.scope["query_string"] if request.scope["query_string"] else b"")
    # Unchanged, because the signature covers path, query, host and more.
    headers = [(name, value) for name, value in request.headers.raw if name not in HOP_BY_HOP]
    has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
    outgoing = httpx.Request(
        request.method,
        store.base_url.copy_with(raw_path=raw),
        headers=headers,
        content=request.stream() if has_body else None,
    )
    return await store.send(outgoing, stream=True)


async def _listed(answer: httpx.Response, folder: str) -> Response:
    content = without_folder(await answer.aread(), folder)
    await answer.aclose()
    left_out = {*(name.decode() for name in HOP_BY_HOP), "content-length"}
    kept = {name: value for name, value in answer.headers.items() if name not in left_out}
    return Response(content, answer.status_code, kept)


class _Passed(Response):
    """Passes the store's answer on, whole or damaged."""

    def __init__(self, answer: httpx.Response, damage: str | None) -> None:
        super().__init__(status_code=answer.status_code)
        self._answer = answer
        self._damage = damage

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 -- ASGI's three
        """Send the answer."""
        kept = [(name.lower(), value) for name, value in self._answer.headers.raw if name.lower() not in HOP_BY_HOP]
        await send({"type": "http.response.start", "status": self.status_code, "headers": kept})
        try:
            async for piece in _damaged(self._answer, self._damage):
                await self._carry(piece, send)
        finally:
            await self._answer.aclose()
        if self._damage == "store-truncated":
            await abort(receive)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _carry(self, piece: bytes, send: Any) -> None:
        await send({"type": "http.response.body", "body": piece, "more_body": True})


class _Slowly(_Passed):
    """Passes the store's answer on over the shared line, while `lasts` returns True and the client is there."""

    def __init__(self, answer: httpx.Response, damage: str | None, line: SharedLine, lasts: Callable[[], bool]) -> None:
        super().__init__(answer, damage)
        self._line = line
        self._lasts = lasts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the answer."""
        sending = asyncio.create_task(super().__call__(scope, receive, send))
        gone = asyncio.create_task(_disconnected(receive))
        await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        for task in (sending, gone):
            task.cancel()
        await asyncio.gather(sending, gone, return_exceptions=True)

    async def _carry(self, piece: bytes, send: Any) -> None:
        for start in range(0, len(piece), SLICE):
            if self._lasts():
                await self._line.carry(len(piece[start : start + SLICE]))
            await super()._carry(piece[start : start + SLICE], send)


async def _disconnected(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class _NoAnswer(Response):
    """Closes the connection without an answer."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 -- ASGI's three
        """Close the connection."""
        await abort(receive)


async def _damaged(answer: httpx.Response, damage: str | None) -> AsyncIterator[bytes]:
    middle, passed = int(answer.headers.get("content-length", 0)) // 2, 0
    async for piece in answer.aiter_raw():
        here = middle - passed
        passed += len(piece)
        if damage is None or not 0 <= here < len(piece):
            yield piece
        elif damage == "store-flipped":
            yield piece[:here] + bytes([piece[here] ^ 1]) + piece[here + 1 :]
        else:
            yield piece[:here]
            return


def _refusal(status: int, code: str, message: str) -> Response:
    # Close: a client that sent `Expect: 100-continue` never sends its body after a refusal, and the connection would wait.
    return Response(error_text(code, message), status, {"Connection": "close"}, media_type="application/xml")
