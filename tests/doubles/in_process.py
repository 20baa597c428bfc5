"""Open the emulated market's second door: calls in process, which the same code answers as those over HTTP."""

import contextlib
import json
from collections.abc import Coroutine, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path

from providers.vast.api import errors
from providers.vast.api.error_responses import json_object
from sandbox.hosts.spec import HostSpec, NoHost, NoHosts
from sandbox.market import rentals
from sandbox.market.calls import Accounts, Endpoint, apply_reply_faults, carry_out
from sandbox.market.faults.replies import Cut
from sandbox.market.server import ROUTES
from sandbox.services.dropped import Dropped

HOST = "market.example"
PORTS = {22: 40022, 8443: 48443}
PATHS = tuple((one.method, compile_path(one.path + "/")[0], one) for one in ROUTES)


class Call(Request):
    """One call, as the market's answers read it."""

    def __init__(self, path: str, values: dict[str, str], params: dict[str, str], key: str = "") -> None:
        place = {"scheme": "http", "server": (HOST, 80), "path": path, "headers": []}
        super().__init__({"type": "http", "path_params": values, **place})
        self._params, self._named = params, {"authorization": f"Bearer {key}"}

    @property
    def query_params(self) -> Any:
        return self._params

    @property
    def headers(self) -> Any:
        return self._named


class Door:
    """Answers the calls of a client. Faults that wait, such as `hung-answer`, fail the test."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def ask(
        self,
        key: str,
        call: str,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        params: dict[str, str] | None,
    ) -> tuple[int, str | None, dict[str, Any]]:
        """Return status, Retry-After and the body's object. Raises OutcomeUnknown where a fault loses the answer."""
        path, _, query = path.partition("?")
        endpoint, values = _endpoint(method, path)
        request = Call(path, values, params or dict(parse_qsl(query)), key)
        done = carry_out(self._accounts, endpoint, request, b"" if body is None else json.dumps(body).encode())
        if isinstance(done.answer, dict) and not self._accounts.first.market.faults.waiting("market"):
            return 200, None, done.answer
        response = _at_once(apply_reply_faults(self._accounts, endpoint, request, done))
        if isinstance(response, Dropped | Cut):
            raise errors.OutcomeUnknown(call, f"RemoteProtocolError at {HOST}")
        return response.status_code, response.headers.get("retry-after"), json_object(bytes(response.body))

    @contextlib.contextmanager
    def stream(self, _method: str, url: str, timeout: float) -> Iterator[httpx.Response]:
        """Give the file with a log that a landlord has uploaded, as an httpx client does."""
        found = rentals.read_log(self._accounts.first, Call(url, {"name": url.rpartition("/")[2]}, {}))
        yield httpx.Response(found.status_code, content=bytes(found.body))


class Reachable(NoHosts):
    """Hosts that nobody logs into, whose ports look like a landlord's."""

    def create(self, spec: HostSpec) -> NoHost:
        """Make one."""
        host = NoHost(spec)
        host.ports = {port: PORTS.get(port, port) for port in spec.published}
        return host


@lru_cache(maxsize=1000)
def _endpoint(method: str, path: str) -> tuple[Endpoint, dict[str, str]]:
    for known, pattern, endpoint in PATHS:
        found = pattern.match(path)
        if known == method and found:
            return endpoint, found.groupdict()
    raise AssertionError(f"the emulator has no {method} {path}")


def _at_once(work: Coroutine[Any, Any, Response]) -> Response:
    """Run what waits for nothing, without a loop."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the market waited for something")
