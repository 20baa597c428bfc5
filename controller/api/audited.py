"""A route that audits and counts its calls, and answers each error in the same JSON format."""

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from controller.api.errors import as_api_error
from controller.api.metrics import Metrics
from controller.store.errors import StoreDown
from controller.store.event_rows import Call
from controller.store.store import Store

LOG = logging.getLogger(__name__)
UNKNOWN = "unknown"
UNKNOWN_A_MINUTE = 60  # calls without a key of ours that the audit keeps; the metric counts all

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Audit:
    """Writes calls to the store. It keeps only so many strangers' calls a minute, so that they cannot fill the database."""

    def __init__(self, store: Store, metrics: Metrics, wall: Callable[[], float]) -> None:
        self._store, self._metrics, self._wall = store, metrics, wall
        self._minute, self._strangers = 0, 0

    async def note(self, request: Request, path: str, status: int) -> None:
        """Count a call and write it. Raises StoreDown."""
        now = self._wall()
        client = getattr(request.state, "client", UNKNOWN)
        if client != UNKNOWN or self._keeps_stranger(now):
            id_ = getattr(request.state, "claim", None) or request.path_params.get("id")
            claim = str(id_)[:80].replace("\0", "") if id_ else None
            await run_in_threadpool(self._store.audit, Call(now, client, request.method, path, status, claim))
        self._metrics.count(request.method, path, status)

    def unwritten(self, request: Request, path: str, answer: Response) -> Response:
        """Count a call that the store cannot take, and return its answer."""
        self._metrics.count(request.method, path, answer.status_code)
        return answer

    def _keeps_stranger(self, now: float) -> bool:
        minute = int(now // 60)
        if minute != self._minute:
            self._minute, self._strangers = minute, 0
        self._strangers += 1
        return self._strangers <= UNKNOWN_A_MINUTE


class AuditedRoute(APIRoute):
    """Answers once the audit has the call. A call that cannot be audited is answered with 503."""

    def get_route_handler(self) -> Handler:
        """Wrap the route's own handler."""
        handler, path = super().get_route_handler(), self.path

        async def audited(request: Request) -> Response:
            audit: Audit = request.app.state.audit
            try:
                answer = await handler(request)
            except Exception as error:
                shown = as_api_error(error)
                if shown.status == 500:
                    LOG.exception("%s %s failed", request.method, path)
                answer = shown.answer()
                if isinstance(error, StoreDown):
                    return audit.unwritten(request, path, answer)
            try:
                await audit.note(request, path, answer.status_code)
            except StoreDown as error:
                return audit.unwritten(request, path, as_api_error(error).answer())
            return answer

        return audited
