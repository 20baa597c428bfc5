"""The receiver as an ASGI application: POST /api/v1/write with a host's credential, and nothing else.

    204  every sample is stored
    400  no write request; or some samples are refused: the text counts them by reason, and the rest is stored
    401  no credential, or not one of ours
    403  the instance is not rented any more
    413  the body is too large
    429  too many samples, with Retry-After
    503  Prometheus does not accept them now; the sender keeps them and tries again

Each request of a sender becomes one request to Prometheus, so that one sender's samples never delay another's.
"""

import base64
import binascii
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
from prometheus_client import CollectorRegistry, Counter, Gauge
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from monitoring.receiver.admission import REASONS, Known, Sender, admit
from monitoring.receiver.rate import Allowance
from monitoring.receiver.wire import MOST_PACKED, Malformed, pack, unpack

PATH = "/api/v1/write"
STRANGER = "unknown"
UPSTREAM_SECONDS = 10.0
HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
Authorise = Callable[[str, str], Sender | None]
Ended = Callable[[Sender], bool]


@dataclass
class _Account:
    known: Known = field(default_factory=Known)
    allowance: Allowance = field(default_factory=Allowance)


class Receiver:
    """`authorise` returns the sender of a user and password, or None; `upstream` is Prometheus' base URL.

    `ended` returns whether a sender's instance was given back.
    """

    def __init__(
        self,
        authorise: Authorise,
        upstream: str,
        http: httpx.AsyncClient | None = None,
        ended: Ended = lambda _sender: False,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._authorise, self._ended, self._wall, self._monotonic = authorise, ended, wall, monotonic
        self._url = upstream.rstrip("/") + PATH
        self._http = http or httpx.AsyncClient(timeout=UPSTREAM_SECONDS)
        self._accounts: dict[Sender, _Account] = {}
        self.registry = CollectorRegistry()
        labels = ("instance_id", "name", "fleet")
        self._requests = Counter("vast_door_requests", "Requests by answer.", ("code",), registry=self.registry)
        self._samples = Counter("vast_door_samples", "Samples that were stored.", labels, registry=self.registry)
        self._refused = Counter(
            "vast_door_refused", "Samples and requests refused.", (*labels, "reason"), registry=self.registry
        )
        self._lag = Gauge(
            "vast_door_lag_seconds",
            "Seconds by which a sender's newest sample lay behind our clock; a minus is ahead.",
            labels,
            registry=self.registry,
        )
        for reason in REASONS:
            self._refused.labels(STRANGER, "", "", reason)
        self.app = Starlette(routes=[Route(PATH, self._write, methods=["POST"])])
        self.app.router.redirect_slashes = False  # one path, exactly

    async def _write(self, request: Request) -> Response:
        answer = await self._answer(request)
        self._requests.labels(str(answer.status_code)).inc()
        return answer

    async def _answer(self, request: Request) -> Response:
        sender = self._sender(request)
        if isinstance(sender, Response):
            return sender
        account = self._accounts.get(sender) or self._new_account(sender)
        body = await _body(request)
        if body is None:
            return self._refuse(sender, "size", 413, f"a body has at most {MOST_PACKED:,} bytes")
        try:
            written = unpack(body)
        except Malformed as error:
            return self._refuse(sender, "form", 400, str(error))
        wait = account.allowance.take(sum(len(one.samples) for one in written), self._monotonic())
        if wait > 0:
            answer = self._refuse(sender, "rate", 429, "too many samples")
            answer.headers["Retry-After"] = str(int(wait) + 1)
            return answer
        admitted = admit(written, sender, account.known, self._wall())
        names = _names(sender)
        if admitted.lag_seconds is not None:
            self._lag.labels(*names).set(admitted.lag_seconds)
        for reason, count in admitted.refused.items():
            self._refused.labels(*names, reason).inc(count)
        if admitted.series and (trouble := await self._send(pack(admitted.series))):
            return trouble
        self._samples.labels(*names).inc(sum(len(one.samples) for one in admitted.series))
        if admitted.refused:
            counts = ", ".join(f"{count} by {reason}" for reason, count in sorted(admitted.refused.items()))
            return PlainTextResponse(f"refused: {counts}; the rest is stored", 400)
        return Response(status_code=204)

    def _sender(self, request: Request) -> Sender | Response:
        """Return the sender, or the answer that refuses the request."""
        user, password = credential(request.headers.get("authorization", ""))
        sender = self._authorise(user, password) if user else None
        if sender is None:
            if user:  # a request without any credential comes from the internet at large and needs no alert
                self._refused.labels(STRANGER, "", "", "credential").inc()
            return PlainTextResponse("not a credential of this receiver", 401, {"WWW-Authenticate": "Basic"})
        if self._ended(sender):
            return self._refuse(sender, "ended", 403, "this instance is not rented any more")
        return sender

    async def _send(self, body: bytes) -> Response | None:
        """Write to Prometheus. Return None if it stored everything, else the answer for the sender."""
        try:
            reply = await self._http.post(self._url, content=body, headers=HEADERS)
        except httpx.HTTPError:
            return PlainTextResponse("Prometheus does not answer; try again", 503)
        if reply.is_success:
            return None
        if reply.is_client_error:
            # Samples out of order. Prometheus will not accept them later either, so the sender must not keep them.
            return PlainTextResponse(f"Prometheus refuses: {reply.text.strip()[:200]}", 400)
        return PlainTextResponse("Prometheus does not accept samples now; try again", 503)

    def _new_account(self, sender: Sender) -> _Account:
        for reason in REASONS:
            self._refused.labels(*_names(sender), reason)  # starts at 0, so that the first refusal is an increase
        return self._accounts.setdefault(sender, _Account())

    def _refuse(self, sender: Sender, reason: str, code: int, text: str) -> Response:
        self._refused.labels(*_names(sender), reason).inc()
        return PlainTextResponse(text, code)


def credential(header: str) -> tuple[str, str]:
    """Return user and password of a Basic Authorization header; two empty texts without one."""
    kind, _, value = header.partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


async def _body(request: Request) -> bytes | None:
    """Return the body. Return None as soon as it is too large."""
    parts, length = [], 0
    async for part in request.stream():
        length += len(part)
        if length > MOST_PACKED:
            return None
        parts.append(part)
    return b"".join(parts)


def _names(sender: Sender) -> tuple[str, str, str]:
    labels = sender.labels
    return labels["instance_id"], labels["name"], labels["fleet"]
