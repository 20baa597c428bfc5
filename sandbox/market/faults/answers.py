"""Plays the faults that make the market answer without doing the work."""

from collections.abc import Callable, Iterator, Mapping
from itertools import cycle

from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from sandbox.faults import Faults, Occasion
from sandbox.market.protocol.api_errors import ApiError, key_unknown, no_such_instance
from sandbox.market.protocol.thresholds import Refusal, Thresholds
from sandbox.services.dropped import Dropped

HINT_SECONDS = 0.1
QUOTA_RESETS_IN_SECONDS = 3600
PAGE = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center><hr>cloudflare</body></html>"
EXPIRED = ApiError(404, "auth_error", "Session expired. Please log in again.")
DEPRECATED = ApiError(410, "deprecated_endpoint", "Use /api/v1/instances/ instead")
BROKEN = ApiError(500, "server_error", "Something went wrong on our side.")
UNAVAILABLE = ApiError(503, "unavailable", "The service is temporarily unavailable.")
UNWILLING = ApiError(200, "unavailable", "The request could not be carried out.")


def refused(error: ApiError) -> Response:
    """Return the HTTP response of an error."""
    return JSONResponse(error.body(), error.status)


def too_many(refusal: Refusal) -> Response:
    """Return a 429 in its form."""
    headers = {} if refusal.retry_after is None else {"Retry-After": f"{refusal.retry_after:.3f}"}
    if refusal.body is None:
        return PlainTextResponse(refusal.text, 429, headers)
    return JSONResponse(refusal.body, 429, headers)


def _quota_exceeded(now: float) -> Response:
    body = {"success": False, "error": "search_quota_exceeded", "msg": "You have used up the searches of this day."}
    return JSONResponse(body, 429, {"X-RateLimit-Reset": str(int(now) + QUOTA_RESETS_IN_SECONDS)})


def edge_forbids() -> Response:
    """Return the answer of the edge in front of the market to a supposed robot."""
    return HTMLResponse(PAGE.format("403 Forbidden"), 403)


CANNED: Mapping[str, Callable[[], Response]] = {
    "edge-forbids": edge_forbids,
    "auth-error": lambda: refused(key_unknown()),
    "session-expired": lambda: refused(EXPIRED),
    "key-revoked": lambda: refused(key_unknown()),
    "deprecated-route": lambda: refused(DEPRECATED),
    "server-error": lambda: refused(BROKEN),
    "bad-gateway": lambda: HTMLResponse(PAGE.format("502 Bad Gateway"), 502),
    "unavailable": lambda: refused(UNAVAILABLE),
    "refused-with-200": lambda: refused(UNWILLING),
    "empty-body": lambda: Response(b"", 200, media_type="application/json"),
    "null-body": lambda: JSONResponse(None),
    "empty-object": lambda: JSONResponse({}),
    "proxy-page": lambda: HTMLResponse(PAGE.format("Just a moment...")),
}
OUTAGES = ("api-down",)
_DOWN: Iterator[Callable[[], Response]] = cycle(
    (
        CANNED["bad-gateway"],
        CANNED["unavailable"],
        lambda: HTMLResponse(PAGE.format("504 Gateway Time-out"), 504),
        Dropped,
    )
)
LIMITED = ("rate-limited", "rate-limited-with-hint", "rate-limited-without-hint", "search-quota-exceeded")
# False answers about one instance, without work on it.
OF_AN_INSTANCE: Mapping[str, Callable[[int], Response]] = {
    "missing-in-show": lambda _number: JSONResponse({"instances": None}),
    "destroy-without-effect": lambda number: JSONResponse({"success": True, "msg": f"Instance {number} destroyed."}),
    "destroy-404-but-alive": lambda number: refused(no_such_instance(number)),
}


def answer_by_fault(faults: Faults, thresholds: Thresholds, kind: str, occasion: Occasion) -> Response | None:
    """Return the answer of a fault that replaces the work; None if none strikes."""
    waiting = {arming.name for arming in faults.waiting("market")}
    for name in sorted(waiting & {*LIMITED, *CANNED, *OUTAGES}):
        if faults.take(name, occasion):
            if name in OUTAGES:
                return next(_DOWN)()
            return _limited(name, faults, thresholds, kind) if name in LIMITED else CANNED[name]()
    return None


def lie_about_instance(faults: Faults, name: str, number: int, occasion: Occasion) -> Response | None:
    """Return a false answer about an existing instance; None if the fault of this name does not strike."""
    return OF_AN_INSTANCE[name](number) if faults.take(name, occasion) else None


def _limited(name: str, faults: Faults, thresholds: Thresholds, kind: str) -> Response:
    if name == "search-quota-exceeded":
        return _quota_exceeded(faults.clock())
    plain = thresholds.refusal(kind, HINT_SECONDS)
    if name == "rate-limited":
        return too_many(plain)
    hinted = name == "rate-limited-with-hint"
    body = {"success": False, "error": "rate_limit_exceeded", "msg": plain.text} if hinted else None
    return too_many(Refusal(body, plain.text, HINT_SECONDS if hinted else None))
