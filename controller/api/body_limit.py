"""Refuse a large body before it fills the memory."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controller.api.errors import ApiError

MOST_BYTES = 65_536


class BodyLimit:
    """Count the bytes of each request's body. Beyond the most, the request is answered with 413."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return  # the client is gone
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > MOST_BYTES:
                says = f"A body has {MOST_BYTES} bytes at most."
                error = ApiError(413, "too_large", says, "GET /openapi.json describes each body.")
                await error.answer()(scope, receive, send)
                return
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def once() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, once, send)
