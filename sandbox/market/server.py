"""The market's HTTP: which route is answered by what, and a server on loopback in a thread of its own."""

import asyncio
import contextlib
import errno
import socket
import threading
import time
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.market import account, bids, bulk, increases, recycling, rentals
from sandbox.market.calls import Accounts, Endpoint, MarketApi, answering, not_emulated
from sandbox.market.faults.lists import Lists
from sandbox.market.market import Market
from sandbox.market.thresholds import Thresholds
from sandbox.services.port_owner import taken

KEY = "sandbox-account-key"  # public by design: it opens this machine's sandbox and nothing else
CREDIT_USD = 1000.0
TICK_SECONDS = 0.02
LOOPBACK = "127.0.0.1"
START_SECONDS = 20.0
MOVE = "run `python -m sandbox up --market-port PORT` and write that port into market.url of Pulumi.local.yaml"

ROUTES = (
    Endpoint("POST", "/api/v0/bundles", "search", rentals.search, "misc", is_open=True),
    Endpoint("PUT", "/api/v0/search/asks", "search", rentals.search, "misc"),
    Endpoint("PUT", "/api/v0/asks/{offer}", "create", rentals.rent, "instance_write"),
    Endpoint("GET", "/api/v1/instances", "list", rentals.listing, "instance_read"),
    Endpoint("GET", "/api/v0/instances", "list", rentals.old_listing, "instance_read"),
    Endpoint("GET", "/api/v0/instances/filters", "list", rentals.choices, "instance_read"),
    Endpoint("GET", "/api/v0/instances/pending-price-increases", "list", increases.pending, "instance_read"),
    Endpoint("GET", "/api/v0/instances/{id}", "show", rentals.show, "instance_read", guests=True),
    Endpoint("PUT", "/api/v0/instances/{id}", "change", rentals.change, "instance_write", guests=True),
    Endpoint("PUT", "/api/v0/instances", "change", bulk.change, "instance_write"),
    Endpoint("DELETE", "/api/v0/instances/{id}", "destroy", rentals.destroy, "instance_write", guests=True),
    Endpoint("DELETE", "/api/v0/instances", "destroy", bulk.destroy, "instance_write"),
    Endpoint("PUT", "/api/v0/instances/reboot/{id}", "reboot", rentals.reboot, "instance_write"),
    Endpoint("PUT", "/api/v0/instances/recycle/{id}", "reboot", recycling.recycle, "instance_write"),
    Endpoint("PUT", "/api/v0/instances/bid_price/{id}", "bid", bids.change, "instance_write"),
    Endpoint("PUT", "/api/v0/instances/request_logs/{id}", "logs", rentals.request_log, "instance_read"),
    Endpoint("GET", "/api/v0/instances/{id}/ssh", "ssh", account.instance_keys, "instance_read"),
    Endpoint("POST", "/api/v0/instances/{id}/ssh", "ssh", account.attach_key, "instance_write"),
    Endpoint("DELETE", "/api/v0/instances/{id}/ssh/{key}", "ssh", account.detach_key, "instance_write"),
    Endpoint("GET", "/api/v0/ssh", "ssh", account.keys, "user_read"),
    Endpoint("POST", "/api/v0/ssh", "ssh", account.add_key, "user_write"),
    Endpoint("PUT", "/api/v0/ssh/{key}", "ssh", account.replace_key, "user_write"),
    Endpoint("DELETE", "/api/v0/ssh/{key}", "ssh", account.remove_key, "user_write"),
    Endpoint("GET", "/api/v0/auth/apikeys", "apikeys", account.api_keys, "user_read"),
    Endpoint("POST", "/api/v0/auth/apikeys", "apikeys", account.make_api_key, "user_write"),
    Endpoint("GET", "/api/v0/auth/apikeys/{key}", "apikeys", account.api_key, "user_read"),
    Endpoint("DELETE", "/api/v0/auth/apikeys/{key}", "apikeys", account.remove_api_key, "user_write"),
    Endpoint("GET", "/api/v0/charges", "charges", account.charged, "billing_read"),
    Endpoint("GET", "/api/v1/invoices", "invoices", account.paid, "billing_read"),
    Endpoint("GET", "/api/v0/users/current", "account", account.current, "user_read"),
)


class MarketError(Exception):
    """A market that cannot be started; the message says why and what to do."""


def application(
    books: Market, key: str = KEY, enforced: bool = True, credit: float = CREDIT_USD, old_list: bool = False
) -> Starlette:
    """Return the market as an ASGI application. `enforced`: whether request thresholds hold; `credit` in $; `old_list`:
    whether the account still has the list's first version.

    Its `state.desk` counts the calls and makes keys; `state.accounts` has the accounts, of which that desk is the first.
    """
    thresholds = Thresholds(books.clock.time_scale, books.clock.real, enforced)
    desk = MarketApi(books, thresholds, key, credit, {}, Lists(books.faults), old_list)
    accounts = Accounts(desk)

    async def names(_: Request) -> Response:
        return JSONResponse(account.gpu_names())

    async def log(request: Request) -> Response:
        return rentals.read_log(desk, request)

    async def no_route(request: Request, _error: Exception) -> Response:
        return not_emulated(desk, request)

    routes: list[BaseRoute] = [Route("/logs/{name}", log, methods=["GET"])]
    # Both spellings are answered at once: a redirect would turn a PUT into a GET.
    for slash in ("", "/"):
        routes.append(Route(f"/api/v0/gpu_names/unique{slash}", names, methods=["GET"]))
        routes += [Route(one.path + slash, answering(accounts, one), methods=[one.method]) for one in ROUTES]

    @contextlib.asynccontextmanager
    async def ticking(_: Starlette) -> AsyncIterator[None]:
        async def forever() -> None:
            while True:
                books.tick()
                await asyncio.sleep(TICK_SECONDS)

        task = asyncio.create_task(forever())
        yield
        task.cancel()

    app = Starlette(routes=routes, lifespan=ticking, exception_handlers={HTTPException: no_route})
    app.state.desk, app.state.accounts = desk, accounts
    return app


def listener(port: int = 0) -> socket.socket:
    """Bind a port of loopback, 0 for any free one. Raises MarketError."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((LOOPBACK, port))
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise MarketError(taken(port, "the market", MOVE)) from None
        raise MarketError(f"Port {port} cannot be used for the market: {error.strerror}.") from None
    return bound


class Server:
    """An ASGI application on a bound socket, which it takes over, in a thread of its own. `tls` as uvicorn takes it:
    ssl_keyfile and ssl_certfile."""

    def __init__(self, app: Starlette, bound: socket.socket, **tls: str) -> None:
        self._socket = bound
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, **tls)  # type: ignore[arg-type]
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="market server", daemon=True)

    @property
    def port(self) -> int:
        """Return the TCP port."""
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """Return the base URL."""
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Serve, and return when calls are answered. Raises MarketError."""
        self._socket.listen(128)
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started and self._thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        if not self._server.started:
            raise MarketError("The market's server did not start; its log says why.")

    def stop(self) -> None:
        """End it and return when the port is free."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        asyncio.run(self._server.serve([self._socket]))
