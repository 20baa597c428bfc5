"""GitHub and GitLab over HTTP on loopback: comments of pull requests, notes of merge requests, and their refusals.

The routes, statuses, headers and sentences are those of the public documentation and of answers that users reported.
"""

import itertools
import json
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.services.http_server import Server, listener

LONGEST_BODY = 65_536
BOT = "github-actions[bot]"
TOKEN, OTHER_TOKEN = "token-of-the-job-0123456789", "token-of-a-person-0123456789"
IDS = {BOT: 41_898_282, "ann": 7}


@dataclass
class Row:
    """A comment or a note. `system`: GitLab's own line about what happened."""

    id: int
    author: str
    body: str
    system: bool = False


@dataclass
class Fault:
    """What befalls one request. `done`: the request takes effect, and its answer is lost."""

    method: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = ""
    done: bool = False


@dataclass
class ForgeDouble:
    """The server. `rows` are the comments of all pull requests by number; `calls` are method and path with query."""

    url: str = ""
    rows: dict[int, list[Row]] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=lambda: {TOKEN: BOT, OTHER_TOKEN: "ann"})
    faults: deque[Fault] = field(default_factory=deque)
    calls: list[str] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1000))

    def say(self, number: int, author: str, body: str, system: bool = False) -> Row:
        """Add a comment as that account."""
        row = Row(next(self.ids), author, body, system)
        self.rows.setdefault(number, []).append(row)
        return row

    def bodies(self, number: int, author: str = BOT) -> list[str]:
        """Return the comments of an account."""
        return [row.body for row in self.rows.get(number, []) if row.author == author]

    def methods(self) -> list[str]:
        """Return the methods of all calls that write."""
        return [call.split()[0] for call in self.calls if call.split()[0] != "GET" and "/graphql" not in call]

    def github(self, number: int = 12, token: str = TOKEN) -> dict[str, str]:
        """Return the variables that a job of GitHub has; the caller adds GITHUB_EVENT_PATH."""
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self.url,
            "GITHUB_GRAPHQL_URL": f"{self.url}/graphql",
            "GITHUB_REPOSITORY": "org/fleet",
            "GITHUB_TOKEN": token,
            "GITHUB_REF": f"refs/pull/{number}/merge",
        }

    def gitlab(self, number: int = 12, token: str = TOKEN) -> dict[str, str]:
        """Return the variables that a job of GitLab has."""
        return {
            "CI_API_V4_URL": f"{self.url}/api/v4",
            "CI_PROJECT_ID": "77",
            "CI_MERGE_REQUEST_IID": str(number),
            "GITLAB_TOKEN": token,
            "CI_JOB_TOKEN": "a-job-token",
        }

    # -- the server's side

    async def serve(self, request: Request) -> Response:
        """Answer one request."""
        query = f"?{request.url.query}" if request.url.query else ""
        self.calls.append(f"{request.method} {request.url.path}{query}")
        account = self.accounts.get(_token(request))
        fault = self.faults.popleft() if self.faults and self.faults[0].method == request.method else None
        if fault and not fault.done:
            return JSONResponse({"message": fault.message}, fault.status, dict(fault.headers))
        if account is None:
            return JSONResponse({"message": "Bad credentials"}, 401)
        answer = await self._answer(request, account)
        return JSONResponse({"message": fault.message}, fault.status) if fault else answer

    async def _answer(self, request: Request, account: str) -> Response:
        name, path = request.scope["endpoint_name"], request.path_params
        if name == "graphql":
            return JSONResponse({"data": {"viewer": {"login": account}}})
        if name == "user":
            if request.url.path == "/user":
                return JSONResponse({"message": "Resource not accessible by integration"}, 403)
            return JSONResponse({"id": IDS[account], "username": account})
        if name == "status":
            self.statuses.append({"sha": path["sha"], **await request.json()})
            return JSONResponse({}, 201)
        if name == "list":
            return await self._list(request, account, int(path["number"]))
        return await self._one(request, account, int(path["id"]))

    async def _list(self, request: Request, account: str, number: int) -> Response:
        if request.method == "POST":
            body = (await request.json())["body"]
            if refused := _refused(body):
                return refused
            return JSONResponse(_shown(self.say(number, account, body)), 201)
        rows = self.rows.get(number, [])
        if number == 404:
            return JSONResponse({"message": "Not Found"}, 404)
        size, page = int(request.query_params.get("per_page", 30)), int(request.query_params.get("page", 1))
        assert size <= 100, "both forges cut a page at 100 rows"
        return JSONResponse([_shown(row) for row in rows[(page - 1) * size : page * size]])

    async def _one(self, request: Request, account: str, id_: int) -> Response:
        found = [(rows, row) for rows in self.rows.values() for row in rows if row.id == id_]
        if not found:
            return JSONResponse({"message": "Not Found"}, 404)
        rows, row = found[0]
        if row.author != account:
            return JSONResponse({"message": "Must have admin rights to Repository."}, 403)
        if request.method == "DELETE":
            rows.remove(row)
            return Response(status_code=204)
        body = (await request.json())["body"]
        if refused := _refused(body):
            return refused
        row.body = body
        return JSONResponse(_shown(row))


def _token(request: Request) -> str:
    return request.headers.get("private-token") or request.headers.get("authorization", "").removeprefix("Bearer ")


def _refused(body: str) -> Response | None:
    if len(body) <= LONGEST_BODY:
        return None
    error = {
        "resource": "IssueComment",
        "code": "unprocessable",
        "field": "data",
        "message": "Body is too long (maximum is 65536 characters)",
    }
    return JSONResponse({"message": "Validation Failed", "errors": [error]}, 422)


def _shown(row: Row) -> dict[str, Any]:
    kind = "Bot" if row.author.endswith("[bot]") else "User"
    return {
        "id": row.id,
        "body": row.body,
        "system": row.system,
        "user": {"login": row.author, "type": kind, "id": IDS.get(row.author, 1)},
        "author": {"id": IDS.get(row.author, 1), "username": row.author},
    }


def application(forge: ForgeDouble) -> Starlette:
    """Return the routes of both forges."""

    def route(path: str, name: str, *methods: str) -> Route:
        async def answer(request: Request) -> Response:
            request.scope["endpoint_name"] = name
            return await forge.serve(request)

        return Route(path, answer, methods=list(methods))

    notes = "/api/v4/projects/{project:int}/merge_requests/{number:int}/notes"
    repository = "/repos/{owner}/{repository}"
    return Starlette(
        routes=[
            route("/graphql", "graphql", "POST"),
            route("/user", "user", "GET"),
            route(repository + "/issues/{number:int}/comments", "list", "GET", "POST"),
            route(repository + "/issues/comments/{id:int}", "one", "PATCH", "DELETE"),
            route(repository + "/statuses/{sha}", "status", "POST"),
            route("/api/v4/user", "user", "GET"),
            route(notes, "list", "GET", "POST"),
            route(notes + "/{id:int}", "one", "PUT", "DELETE"),
        ]
    )


@contextmanager
def forge_double() -> Iterator[ForgeDouble]:
    """Serve both forges on a free port of loopback."""
    forge = ForgeDouble()
    server = Server(application(forge), listener())
    server.start()
    forge.url = server.url
    try:
        yield forge
    finally:
        server.stop()


def event(number: int) -> str:
    """Return the text of an event's file, as far as a review reads it."""
    return json.dumps({"action": "synchronize", "pull_request": {"number": number}})
