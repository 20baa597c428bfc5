"""An answer that never comes: the connection ends."""

import asyncio
from typing import Any

from starlette.responses import Response


class Dropped(Response):
    """No answer at all: the connection ends."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002 -- ASGI's three
        """Abort the connection."""
        await abort(receive)


async def abort(receive: Any) -> None:
    """End the connection. ASGI has no word for that, so the server's own transport is reached for."""
    receive.__self__.transport.abort()
    await asyncio.sleep(0.01)  # until the server has noticed, else it would try to answer 500
