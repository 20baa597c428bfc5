"""The control socket between the commands and the daemon: HTTP over a unix socket that only its user can open."""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox.services.http_server import Server

NAME = "control.sock"
TIMEOUT_SECONDS = 60.0
JOIN_SECONDS = 240.0  # each program of monitoring has a minute to get ready, and the controller
JOINING = ("monitoring", "controller")
Answer = Callable[[str, dict[str, Any]], dict[str, Any]]


class Unreachable(Exception):
    """No daemon answers on the control socket."""


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
            bound.bind(_short(folder))
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


def ask(state: Path, word: str, **options: object) -> dict[str, Any]:
    """Send one command to the daemon of this folder and return its reply. Raises Unreachable."""
    try:
        folder = os.open(state, os.O_PATH)
    except OSError as error:
        raise Unreachable(str(error)) from error
    try:
        patience = JOIN_SECONDS if word in JOINING else TIMEOUT_SECONDS
        with httpx.Client(transport=httpx.HTTPTransport(uds=_short(folder)), timeout=patience) as http:
            answered: dict[str, Any] = http.post(f"http://sandbox/{word}", json=options).raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        raise Unreachable(str(error)) from error
    finally:
        os.close(folder)
    return answered


def _short(folder: int) -> str:
    """Return the socket's path through its open folder: the kernel accepts at most 107 bytes of a path."""
    return f"/proc/self/fd/{folder}/{NAME}"
