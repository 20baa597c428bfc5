"""An HTTP response that closes the connection without an answer."""

import asyncio
from typing import Any

from starlette.responses import Response


class Dropped(Response):
    """Closes the connection without an answer."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 -- ASGI's three
        """Abort the connection."""
        await abort(receive)


async def abort(receive: Any) -> None:
    """Close the connection. ASGI has no call for that, so this uses the transport of uvicorn."""
    receive.__self__.transport.abort()
    await asyncio.sleep(0.01)  # until the server notices; otherwise it would answer 500
