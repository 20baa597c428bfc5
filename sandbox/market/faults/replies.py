"""Plays the faults that delay, break or lose the answer after the market has done the work."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.faults import FAULTS, Faults, Occasion
from sandbox.market.faults.answers import CANNED
from sandbox.services.dropped import Dropped, abort

SLOW_SECONDS = 60.0  # market seconds
LOOK_SECONDS = 0.05


class Cut(Response):
    """Sends half of an answer that announces all of it; then the connection ends."""

    def __init__(self, whole: Response) -> None:
        super().__init__(bytes(whole.body), whole.status_code, media_type=whole.media_type)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 -- ASGI's three
        """Send the half."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await abort(receive)


async def garble(
    faults: Faults, kind: str, occasion: Occasion, request: Request, answer: Response, time_scale: float
) -> Response:
    """Return the answer as the client gets it."""
    waiting = {arming.name for arming in faults.waiting("market")}
    for name in sorted(waiting & GARBLED.keys()):
        concerned = FAULTS[name].calls
        if (not concerned or kind in concerned) and faults.take(name, occasion):
            return await GARBLED[name](request, answer, time_scale)
    return answer


async def _late(_request: Request, answer: Response, time_scale: float) -> Response:
    await asyncio.sleep(SLOW_SECONDS / time_scale)
    return answer


async def _never(request: Request, _answer: Response, _time_scale: float) -> Response:
    while not await request.is_disconnected():
        await asyncio.sleep(LOOK_SECONDS)
    return Dropped()


async def _cut(_request: Request, answer: Response, _time_scale: float) -> Response:
    return Cut(answer)


async def _lost(_request: Request, _answer: Response, _time_scale: float) -> Response:
    return Dropped()


async def _broken(_request: Request, _answer: Response, _time_scale: float) -> Response:
    return CANNED["server-error"]()


async def _gateway(_request: Request, _answer: Response, _time_scale: float) -> Response:
    return CANNED["bad-gateway"]()


GARBLED: Mapping[str, Callable[[Request, Response, float], Awaitable[Response]]] = {
    "slow-answer": _late,
    "hung-answer": _never,
    "cut-answer": _cut,
    "lost-reply": _lost,
    "lost-create-reply": _lost,
    "lost-destroy-reply": _lost,
    "create-error-but-rented": _broken,
    "create-bad-gateway-but-rented": _gateway,
    "create-hangs-but-rented": _never,
    "destroy-error-but-gone": _broken,
}
