"""The API over HTTP: routes, tokens, request limit, faults."""

import secrets
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.hetzner import bodies, faults
from sandbox.hetzner.catalog import IMAGES, LOAD_BALANCER_TYPES, LOCATIONS, everywhere
from sandbox.hetzner.errors import HetznerError, not_found
from sandbox.hetzner.kinds import COLLECTIONS, Collection
from sandbox.hetzner.listing import page_of
from sandbox.hetzner.primary_ips import PrimaryIp
from sandbox.hetzner.project import Project, Resource
from sandbox.hetzner.rates import Rates
from sandbox.services.dropped import Dropped

TOKEN_LETTERS = 64


def application(project: Project, rates: Rates | None = None) -> Starlette:
    """Return the API as an ASGI application, under `/v1`."""
    limits = rates or Rates()

    async def answer(request: Request) -> Response:
        raw = await request.body()
        body = await request.json() if raw else {}
        return await run_in_threadpool(_answered, project, limits, request, body)

    methods = ["GET", "POST", "PUT", "DELETE"]
    return Starlette(routes=[Route("/v1/{path:path}", answer, methods=methods)])


def _answered(project: Project, rates: Rates, request: Request, body: Any) -> Response:
    headers = {"X-Correlation-Id": secrets.token_hex(8)}
    try:
        with project.lock:
            project.settle()
            _admit(project, rates, request, headers)
            path = request.path_params["path"].strip("/").split("/")
            call = faults.Call.of(project, request.method, path, COLLECTIONS)
            if faults.is_cut_off(project, call):
                return Response("<html>502 Bad Gateway</html>", 502, headers, "text/html")
            faults.refuse(project, call)
            found = _routed(project, request, path, body)
            if faults.is_lost(project, call):
                return Dropped()
    except HetznerError as error:
        return JSONResponse(error.to_json(), error.status, headers)
    if not found:
        return Response(status_code=204, headers=headers)
    return JSONResponse(found, 201 if request.method == "POST" else 200, headers)


def _admit(project: Project, rates: Rates, request: Request, headers: dict[str, str]) -> None:
    """Raise HetznerError for a token that may not make this request; add what the answer says of the limit."""
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if len(token) != TOKEN_LETTERS or token not in project.tokens:
        raise HetznerError("unauthorized", "unable to authenticate")
    allowed, limit_headers = rates.take(token, project.now)
    headers.update(limit_headers)
    if not allowed:
        raise HetznerError("rate_limit_exceeded", "limit of requests reached")
    if request.method != "GET" and not project.tokens[token]:
        raise HetznerError("token_readonly", "token is only allowed to perform GET requests")


def _routed(project: Project, request: Request, path: list[str], body: Any) -> dict[str, Any]:
    collection = next((one for one in COLLECTIONS if one.plural == path[0]), None)
    match request.method, path:
        case "GET", ["pricing"]:
            return {"pricing": project.catalog.pricing()}
        case "GET", ["datacenters", *_]:
            raise HetznerError("deprecated_api_endpoint", "datacenters were removed; use locations")
        case "GET", [("locations" | "server_types" | "images" | "load_balancer_types") as name, *rest]:
            return _on_sale(project, request, name, rest)
        case "GET", ["actions"] | [_, "actions"]:
            rows = [one.to_json(project.now) for one in project.actions.values()]
            return page_of(request.query_params, "actions", rows)
        case "GET", ["actions", number] | [_, "actions", number]:
            return {"action": _action(project, number)}
        case "GET", [_] if collection:
            rows = [one.show(project) for one in project.all(collection.kind)]
            return page_of(request.query_params, collection.plural, rows)
        case "POST", [_] if collection:
            return collection.create(project, bodies.read(collection.body, body))
        case _, [_, number, *rest] if collection:
            return _of_one(project, collection, _found(project, collection, number), request, rest, body)
    raise HetznerError("not_emulated", f"{request.method} /{'/'.join(path)} is not emulated")


def _of_one(
    project: Project, collection: Collection, one: Resource, request: Request, rest: list[str], body: Any
) -> dict[str, Any]:
    match request.method, rest:
        case "GET", []:
            return {collection.singular: one.show(project)}
        case "GET", ["actions"]:
            mine = (one.KIND, one.id)
            rows = [each.to_json(project.now) for each in project.actions.values() if mine in each.resources]
            return page_of(request.query_params, "actions", rows)
        case "GET", ["actions", number]:
            return {"action": _action(project, number)}
        case "PUT", []:
            return _changed(project, collection, one, bodies.read(bodies.Change, body))
        case "DELETE", []:
            return _deleted(project, collection, one)
        case "POST", ["actions", "change_protection"]:
            protection = bodies.read(bodies.Protection, body)
            if protection.delete is not None:
                one.is_protected = protection.delete
            return {"action": project.begin("change_protection", [one], 0.0, is_free=True).to_json(project.now)}
        case "POST", ["actions", name] if name in collection.actions:
            model, act = collection.actions[name]
            return act(project, one, bodies.read(model, body) if model else None)
    raise HetznerError("not_emulated", f"{request.method} of {collection.plural}/{'/'.join(rest)} is not emulated")


def _changed(project: Project, collection: Collection, one: Resource, body: bodies.Change) -> dict[str, Any]:
    if body.name is not None:
        project.confirm_name(collection.kind, body.name, one.id)
        one.name = body.name
    if body.labels is not None:
        one.labels = body.labels
    if body.auto_delete is not None and isinstance(one, PrimaryIp):
        one.auto_delete = body.auto_delete
    return {collection.singular: one.show(project)}


def _deleted(project: Project, collection: Collection, one: Resource) -> dict[str, Any]:
    if one.is_protected:
        raise HetznerError("protected", f"{collection.singular} deletion is protected")
    collection.confirm_unused(one)
    return collection.delete(project, one)


def _found(project: Project, collection: Collection, number: str) -> Resource:
    if not number.isdigit():
        raise not_found(collection.singular, number)
    return project.find(collection.kind, int(number))


def _action(project: Project, number: str) -> dict[str, Any]:
    action = project.actions.get(int(number)) if number.isdigit() else None
    if action is None:
        raise not_found("action", number)
    return action.to_json(project.now)


def _on_sale(project: Project, request: Request, name: str, rest: list[str]) -> dict[str, Any]:
    types = project.catalog.server_types
    if "hetzner-sold-out" in project.faults.armed():
        types = [everywhere(one) for one in types]
    rows: dict[str, list[dict[str, Any]]] = {
        "locations": [one.to_json() for one in LOCATIONS],
        "server_types": [one.to_json() for one in types],
        "images": [one.to_json() for one in IMAGES],
        "load_balancer_types": [one.to_json() for one in LOAD_BALANCER_TYPES],
    }
    if not rest:
        return page_of(request.query_params, name, rows[name])
    found = next((row for row in rows[name] if str(row["id"]) == rest[0]), None)
    if found is None:
        raise not_found(name.removesuffix("s"), rest[0])
    return {name.removesuffix("s"): found}
