"""Serves the API: in plain to those inside, and over TLS at another port to clients from outside, if that is wanted."""

import threading
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

GRACE_SECONDS = 3  # for answers under way at the end
HIDDEN = "/metrics"  # they name fleets and count slots, and need no key
CERTIFICATE, KEY = "tls.crt", "tls.key"  # as Kubernetes names them in a Secret

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
Address = tuple[str, int]


@dataclass(frozen=True)
class Outside:
    """Where clients from outside come in. `tls`: the folder of certificate and key."""

    address: Address
    tls: Path


class Hiding:
    """The application as clients from outside see it: the path of its metrics is unknown there."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Pass a request on, one for metrics under a path that leads nowhere."""
        if scope["type"] == "http" and scope["path"].rstrip("/") == HIDDEN:
            scope = {**scope, "path": f"{HIDDEN}/outside", "raw_path": f"{HIDDEN}/outside".encode()}
        await self._app(scope, receive, send)


def serve(app: Application, address: Address, outside: Outside | None = None) -> bool:
    """Serve until SIGTERM or SIGINT. Return whether it ever served.

    Raises OSError or ssl.SSLError if the certificate cannot be used, and SystemExit if a port cannot be had.
    """
    inside = uvicorn.Server(_config(app, address))
    if outside is None:
        inside.run()
        return inside.started
    more = {"ssl_certfile": outside.tls / CERTIFICATE, "ssl_keyfile": outside.tls / KEY}
    # The first server starts and ends what the application needs.
    config = _config(Hiding(app), outside.address, lifespan="off", **more)
    config.load()
    bound = config.bind_socket()  # here, because its thread could not report a taken port
    second = uvicorn.Server(config)
    thread = threading.Thread(target=second.run, args=([bound],), name="API over TLS", daemon=True)
    thread.start()
    try:
        inside.run()
    finally:
        second.should_exit = True
        thread.join(2 * GRACE_SECONDS)
    return inside.started


def _config(app: Application, address: Address, **more: Any) -> uvicorn.Config:
    host, port = address
    return uvicorn.Config(
        app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=GRACE_SECONDS, **more
    )
