"""A reverse proxy in front of the object store that plays the store's faults, and else changes nothing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.faults import Faults, Occasion
from sandbox.market.faults.replies import abort

SLOW_SECONDS = 10.0
METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE"]
HOP_BY_HOP = {b"connection", b"keep-alive", b"transfer-encoding", b"expect", b"te", b"upgrade"}
# Fault -> HTTP status, S3's code, S3's message.
REFUSALS = {
    "store-throttled": (429, "TooManyRequests", "Too many requests. Please try again later."),
    "store-slow-down": (503, "SlowDown", "Please reduce your request rate."),
    "store-error": (500, "InternalError", "We encountered an internal error. Please try again."),
    "store-forbidden": (403, "AccessDenied", "Access Denied."),
}


def proxy(endpoint: str, faults: Faults, slow_seconds: float = SLOW_SECONDS) -> Starlette:
    """Return the proxy of the store at `endpoint` as an ASGI application."""
    store = httpx.AsyncClient(base_url=endpoint, timeout=None, limits=httpx.Limits(max_connections=None))

    async def handle(request: Request) -> Response:
        about = Occasion(call=request.method.lower())
        for name, (status, code, message) in REFUSALS.items():
            if faults.take(name, about):
                return _refusal(status, code, message)
        if faults.take("store-slow", about):
            await asyncio.sleep(slow_seconds)
        answer = await _forward(store, request)
        damage = None
        if request.method == "GET" and answer.is_success and int(answer.headers.get("content-length", 0)) > 1:
            damage = next((name for name in ("store-truncated", "store-flipped") if faults.take(name, about)), None)
        return _Passed(answer, damage)

    return Starlette(routes=[Route("/{path:path}", handle, methods=METHODS)])


async def _forward(store: httpx.AsyncClient, request: Request) -> httpx.Response:
    raw = request.scope["raw_path"] + (b"?" + request.scope["query_string"] if request.scope["query_string"] else b"")
    # As it came, because the signature covers path, query, host and more.
    headers = [(name, value) for name, value in request.headers.raw if name not in HOP_BY_HOP]
    has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
    outgoing = httpx.Request(
        request.method,
        store.base_url.copy_with(raw_path=raw),
        headers=headers,
        content=request.stream() if has_body else None,
    )
    return await store.send(outgoing, stream=True)


class _Passed(Response):
    """The store's answer, whole or damaged."""

    def __init__(self, answer: httpx.Response, damage: str | None) -> None:
        super().__init__(status_code=answer.status_code)
        self._answer = answer
        self._damage = damage

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 -- ASGI's three
        """Send it on."""
        kept = [(name.lower(), value) for name, value in self._answer.headers.raw if name.lower() not in HOP_BY_HOP]
        await send({"type": "http.response.start", "status": self.status_code, "headers": kept})
        try:
            async for piece in _damaged(self._answer, self._damage):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            await self._answer.aclose()
        if self._damage == "store-truncated":
            await abort(receive)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


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
    text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(text, status, media_type="application/xml")
