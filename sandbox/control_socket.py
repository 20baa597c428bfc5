"""The daemon's end of the control socket."""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox.control import NAME, short_path
from sandbox.services.http_server import Server

Answer = Callable[[str, dict[str, Any]], dict[str, Any]]


class ControlSocket:
    """The daemon's end, in the folder `state`. `answer` maps a command and its options to the reply.

    The daemon holds the folder's lock, so an old socket file belongs to no running daemon.
    """

    def __init__(self, state: Path, answer: Answer) -> None:
        self._path = state / NAME
        self._path.unlink(missing_ok=True)
        bound = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        folder = os.open(state, os.O_PATH)
        try:
            bound.bind(short_path(folder))
        finally:
            os.close(folder)
            os.umask(before)

        async def call(request: Request) -> JSONResponse:
            options = await request.json()
            return JSONResponse(await asyncio.to_thread(answer, request.path_params["word"], options))

        self._server = Server(Starlette(routes=[Route("/{word}", call, methods=["POST"])]), bound)

    def start(self) -> None:
        """Answer from now on."""
        self._server.start()

    def stop(self) -> None:
        """Stop answering, and remove the socket."""
        self._server.stop()
        self._path.unlink(missing_ok=True)
