"""The API as an ASGI application."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Path, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyHeader
from sse_starlette import EventSourceResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from controller import clients
from controller.api.audited import Audit, AuditedRoute
from controller.api.bodies import ClaimAnswer, FleetAnswer, Health, ProvisionRequest, RenewRequest
from controller.api.body_limit import BodyLimit
from controller.api.claim_service import ClaimService, new_id, scope_missing
from controller.api.errors import ApiError, ErrorAnswer, as_api_error
from controller.api.metrics import CONTENT_TYPE, Metrics
from controller.api.pruning import Pruner
from controller.api.streams import Bell, stream
from controller.offers import Client, Offers, OffersUnknown
from controller.store.errors import StoreDown
from controller.store.store import Store

KEY = APIKeyHeader(name="X-API-Key", auto_error=False, description="The API key of a client of stack config.")
Id = Annotated[str, Path(max_length=80, pattern=r"^[!-~]+$")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[ -~]+$",
        description="Calls with the same key and body make one claim. Without a key, each call makes one.",
    ),
]
LastEvent = Annotated[int | None, Header(alias="Last-Event-ID", ge=0, le=2**62)]
ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer, "description": text}
    for code, text in (
        (401, "No key, or none of ours."),
        (403, "The client may not do this."),
        (404, "No such claim of this client."),
        (422, "The request is not valid, or no fleet serves it."),
        (503, "The database does not answer, or what is applied is unknown. Retry-After says when to try again."),
    )
}

routes = APIRouter(route_class=AuditedRoute)


def service_of(request: Request) -> ClaimService:
    """Return the application's service."""
    service: ClaimService = request.app.state.service
    return service


def allowed(*scopes: str) -> Callable[[Request, str | None], Client]:
    """Return the dependency that names the client of a request, whose key must have one of these scopes."""

    def caller(request: Request, key: Annotated[str | None, Depends(KEY)]) -> Client:
        client = clients.identify(service_of(request).offers().clients, key) if key else None
        if client is None:
            says = "X-API-Key is no key of a client." if key else "The header X-API-Key is missing."
            raise ApiError(401, "no_key", says, "Send the key of a client of stack config; its operator has it.")
        request.state.client = client.name
        if not client.scopes & set(scopes):
            raise scope_missing(client, scopes)
        return client

    return caller


Asking = Annotated[Client, Depends(allowed("provision"))]
Seeing = Annotated[Client, Depends(allowed("provision", "admin"))]
Reading = Annotated[Client, Depends(allowed("read", "admin"))]
TheService = Annotated[ClaimService, Depends(service_of)]


@routes.post("/provision", status_code=202, responses=ERRORS)
def provision(
    asked: ProvisionRequest, client: Asking, service: TheService, request: Request, key: IdempotencyKey = None
) -> ClaimAnswer:
    """Ask for instances. The answer comes at once; follow them by GET /provision/{id} or /provision/{id}/events."""
    answer = service.ask(client, asked, key)
    request.state.claim = answer.id
    return answer


@routes.get("/provision", responses=ERRORS)
def claims(client: Seeing, service: TheService) -> list[ClaimAnswer]:
    """List this client's live claims; an admin's list has those of all clients."""
    return service.claims(client)


@routes.get("/provision/{id}", responses=ERRORS)
def claim(id: Id, client: Seeing, service: TheService) -> ClaimAnswer:  # noqa: A002 -- the path names it
    """Return a claim: its phases, endpoint, token, price, and how long it may take."""
    return service.look(client, id)


@routes.get("/provision/{id}/events", responses=ERRORS, response_class=EventSourceResponse)
async def events(
    id: Id,  # noqa: A002 -- the path names it
    client: Seeing,
    service: TheService,
    request: Request,
    after: LastEvent = None,
) -> EventSourceResponse:
    """Follow a claim by server-sent events (`phase`, `status`), which end with `ready`, `ended` or `error`."""
    await run_in_threadpool(service.look, client, id)
    return EventSourceResponse(stream(service, request.app.state.bell, client, id, after or 0))


@routes.post("/provision/{id}/renew", responses={**ERRORS, 410: {"model": ErrorAnswer, "description": "It is over."}})
def renew(id: Id, client: Asking, service: TheService, asked: RenewRequest | None = None) -> ClaimAnswer:  # noqa: A002
    """Let a claim end so many minutes from now. It never ends earlier than before."""
    return service.renew(client, id, asked.ttl_minutes if asked else None)


@routes.delete("/provision/{id}", responses=ERRORS)
def give_back(id: Id, client: Seeing, service: TheService) -> ClaimAnswer:  # noqa: A002 -- the path names it
    """End a claim. Its instances finish their requests first. Ending it again changes nothing."""
    return service.end(client, id)


@routes.get("/fleets", responses=ERRORS)
def fleets(_client: Reading, service: TheService) -> list[FleetAnswer]:
    """List the elastic fleets with their model, GPUs, bounds, and slots by state."""
    return service.fleets()


open_routes = APIRouter()


@open_routes.get("/healthz")
def healthz() -> Health:
    """Say that the process answers."""
    return Health(status="ok")


@open_routes.get("/readyz", responses={503: ERRORS[503]})
def readyz(service: TheService) -> Health:
    """Say whether the database answers and the controller knows the applied fleets."""
    service.ready()
    return Health(status="ready")


@open_routes.get("/metrics", response_class=Response)
def metrics(request: Request) -> Response:
    """Return metrics for Prometheus."""
    found: Metrics = request.app.state.metrics
    return Response(found.text(), media_type=CONTENT_TYPE)


def create_app(
    store: Store,
    offers: Callable[[], Offers],
    wall: Callable[[], float] = time.time,
    id_: Callable[[], str] = new_id,
) -> FastAPI:
    """Make the application. Each request calls `offers`, which returns the applied fleets or raises OffersUnknown.

    `wall` returns unix seconds. The caller opens and closes the store.
    """
    bell, pruner = Bell(store), Pruner(store, wall)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        bell.start()
        pruner.start()
        try:
            yield
        finally:
            bell.stop()
            pruner.stop()

    app = FastAPI(title="gpu-fleet controller", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.service = ClaimService(store, offers, wall, id_)
    app.state.metrics = Metrics(store, wall)
    app.state.audit = Audit(store, app.state.metrics, wall)
    app.state.bell = bell
    app.include_router(routes)
    app.include_router(open_routes)
    for kind in (HTTPException, ApiError, StoreDown, OffersUnknown, Exception):
        app.add_exception_handler(kind, _answer)
    app.add_middleware(BodyLimit)
    return app


async def _answer(_request: Request, error: Exception) -> JSONResponse:
    return as_api_error(error).answer()
