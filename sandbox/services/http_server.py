"""Serves an ASGI application on loopback, in a thread of its own."""

import asyncio
import errno
import socket
import threading
import time

import uvicorn
from starlette.applications import Starlette

from sandbox.services.child import ServiceError
from sandbox.services.port_owner import taken
from sandbox.services.ports import LOOPBACK

START_SECONDS = 20.0


def listener(
    port: int = 0, purpose: str = "a service of the sandbox", move: str = "choose another port"
) -> socket.socket:
    """Bind a port of loopback, 0 for any free one. Raises ServiceError.

    `purpose` and `move` stand in the error: the service that wants the port, and how the user chooses another one.
    """
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((LOOPBACK, port))
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise ServiceError(taken(port, purpose, move)) from None
        raise ServiceError(f"Port {port} cannot be used for {purpose}: {error.strerror}.") from None
    return bound


class Server:
    """Serve an ASGI application on a bound socket, which the server closes when it stops.

    `tls` are uvicorn's options ssl_keyfile and ssl_certfile.
    """

    def __init__(self, app: Starlette, bound: socket.socket, **tls: str) -> None:
        self._socket = bound
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, **tls)  # type: ignore[arg-type]
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="http server", daemon=True)

    @property
    def port(self) -> int:
        """Return the TCP port."""
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """Return the base URL."""
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Serve, and return when the server answers. Raises ServiceError after 20 s without an answer."""
        self._socket.listen(128)
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started and self._thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        if not self._server.started:
            raise ServiceError(f"The HTTP server at {self.url} did not start; its log says why.")

    def stop(self) -> None:
        """End the server and return when its port is free."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        asyncio.run(self._server.serve([self._socket]))
