"""The market's HTTP: its routes and the function that answers each."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.market import account, bids, bulk, increases, recycling, rentals
from sandbox.market.calls import Account, Accounts, Endpoint, http_handler, not_emulated
from sandbox.market.faults.lists import Lists
from sandbox.market.market import Market
from sandbox.market.protocol.thresholds import Thresholds

KEY = "sandbox-account-key"  # public by design: it opens this machine's sandbox and nothing else
CREDIT_USD = 1000.0
TICK_SECONDS = 0.02
MOVE = "run `python -m sandbox up --market-port PORT` and write that port into market.url of Pulumi.local.yaml"

ROUTES = (
    Endpoint("POST", "/api/v0/bundles", "search", rentals.search, "misc", is_open=True),
    Endpoint("PUT", "/api/v0/search/asks", "search", rentals.search, "misc"),
    Endpoint("PUT", "/api/v0/asks/{offer}", "create", rentals.rent, "instance_write"),
    Endpoint("GET", "/api/v1/instances", "list", rentals.list_page, "instance_read"),
    Endpoint("GET", "/api/v0/instances", "list", rentals.list_all, "instance_read"),
    Endpoint("GET", "/api/v0/instances/filters", "list", rentals.list_filter_choices, "instance_read"),
    Endpoint("GET", "/api/v0/instances/pending-price-increases", "list", increases.list_pending, "instance_read"),
    Endpoint("GET", "/api/v0/instances/{id}", "show", rentals.show, "instance_read", guests=True),
    Endpoint("PUT", "/api/v0/instances/{id}", "change", rentals.change, "instance_write", guests=True),
    Endpoint("PUT", "/api/v0/instances", "change", bulk.change, "instance_write"),
    Endpoint("DELETE", "/api/v0/instances/{id}", "destroy", rentals.destroy, "instance_write", guests=True),
    Endpoint("DELETE", "/api/v0/instances", "destroy", bulk.destroy, "instance_write"),
    Endpoint("PUT", "/api/v0/instances/reboot/{id}", "reboot", rentals.reboot, "instance_write"),
    Endpoint("PUT", "/api/v0/instances/recycle/{id}", "reboot", recycling.recycle, "instance_write"),
    Endpoint("PUT", "/api/v0/instances/bid_price/{id}", "bid", bids.change, "instance_write"),
    Endpoint("PUT", "/api/v0/instances/request_logs/{id}", "logs", rentals.request_log, "instance_read"),
    Endpoint("GET", "/api/v0/instances/{id}/ssh", "ssh", account.list_instance_keys, "instance_read"),
    Endpoint("POST", "/api/v0/instances/{id}/ssh", "ssh", account.attach_ssh_key, "instance_write"),
    Endpoint("DELETE", "/api/v0/instances/{id}/ssh/{key}", "ssh", account.detach_ssh_key, "instance_write"),
    Endpoint("GET", "/api/v0/ssh", "ssh", account.list_ssh_keys, "user_read"),
    Endpoint("POST", "/api/v0/ssh", "ssh", account.add_ssh_key, "user_write"),
    Endpoint("PUT", "/api/v0/ssh/{key}", "ssh", account.replace_ssh_key, "user_write"),
    Endpoint("DELETE", "/api/v0/ssh/{key}", "ssh", account.remove_ssh_key, "user_write"),
    Endpoint("GET", "/api/v0/auth/apikeys", "apikeys", account.list_api_keys, "user_read"),
    Endpoint("POST", "/api/v0/auth/apikeys", "apikeys", account.make_api_key, "user_write"),
    Endpoint("GET", "/api/v0/auth/apikeys/{key}", "apikeys", account.show_api_key, "user_read"),
    Endpoint("DELETE", "/api/v0/auth/apikeys/{key}", "apikeys", account.remove_api_key, "user_write"),
    Endpoint("GET", "/api/v0/charges", "charges", account.list_charges, "billing_read"),
    Endpoint("GET", "/api/v1/invoices", "invoices", account.list_payments, "billing_read"),
    Endpoint("GET", "/api/v0/users/current", "account", account.show_account, "user_read"),
)


def application(
    market: Market, key: str = KEY, enforced: bool = True, credit: float = CREDIT_USD, old_list: bool = False
) -> Starlette:
    """Return the market as an ASGI application. `credit` is in $.

    `enforced`: the request thresholds apply. `old_list`: the account still has the list's first version.
    `state.accounts` of the application holds all accounts.
    """
    thresholds = Thresholds(market.clock.time_scale, market.clock.real, enforced)
    first = Account(market, thresholds, key, credit, {}, Lists(market.faults), old_list)
    accounts = Accounts(first)

    async def names(_: Request) -> Response:
        return JSONResponse(account.list_gpu_names())

    async def log(request: Request) -> Response:
        return rentals.read_log(first, request)

    async def no_route(request: Request, _error: Exception) -> Response:
        return not_emulated(first, request)

    routes: list[BaseRoute] = [Route("/logs/{name}", log, methods=["GET"])]
    # Both spellings, without a redirect, which would turn a PUT into a GET.
    for slash in ("", "/"):
        routes.append(Route(f"/api/v0/gpu_names/unique{slash}", names, methods=["GET"]))
        routes += [Route(one.path + slash, http_handler(accounts, one), methods=[one.method]) for one in ROUTES]

    @contextlib.asynccontextmanager
    async def ticking(_: Starlette) -> AsyncIterator[None]:
        async def forever() -> None:
            while True:
                market.tick()
                await asyncio.sleep(TICK_SECONDS)

        task = asyncio.create_task(forever())
        yield
        task.cancel()

    app = Starlette(routes=routes, lifespan=ticking, exception_handlers={HTTPException: no_route})
    app.state.accounts = accounts
    return app
