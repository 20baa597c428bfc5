"""Every error of the API has one shape: a word for programs, what happened, and what to do next.

{"error": {"code": "no_such_fleet", "message": "...", "next": "...", "nearest": ["..."]}}
"""

from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from controller.clients import OverLimit
from controller.offers import NoFleet, OffersUnknown
from controller.store.errors import KeyReused, StoreDown

RETRY_SECONDS = 5
LIMIT_STATUS = {"maxInstances": 403, "maxTtlMinutes": 422}


class ErrorBody(BaseModel):
    """What went wrong. Some codes have more fields."""

    model_config = ConfigDict(extra="allow")

    code: str
    message: str
    next: str


class ErrorAnswer(BaseModel):
    """The body of every answer with a status of 400 or more."""

    error: ErrorBody


class ApiError(Exception):
    """An answer that is an error. `details` are further fields of its body."""

    def __init__(self, status: int, code: str, message: str, next_: str, **details: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.next, self.details = status, code, message, next_, details

    @property
    def body(self) -> dict[str, Any]:
        """Return the JSON body."""
        return {"error": {"code": self.code, "message": self.message, "next": self.next, **self.details}}

    def answer(self) -> JSONResponse:
        """Return the HTTP answer."""
        headers = {"Retry-After": str(RETRY_SECONDS)} if self.status == 503 else None
        return JSONResponse(self.body, self.status, headers)


def no_such_claim(id_: str) -> ApiError:
    """Return the error about a claim that is not there, or not this client's."""
    says = f"There is no claim {id_[:80]!r} of this client."
    return ApiError(404, "no_such_claim", says, "List your claims: GET /provision")


def claim_over(id_: str) -> ApiError:
    """Return the error about a claim that cannot be renewed any more."""
    return ApiError(410, "claim_over", f"Claim {id_} has ended, so it cannot be renewed.", "Ask anew: POST /provision")


def as_api_error(error: Exception) -> ApiError:
    """Return the error that a client sees for an exception. Nothing of an unexpected one is shown."""
    match error:
        case ApiError():
            return error
        case RequestValidationError():
            return _invalid(error)
        case HTTPException():
            return _of_http(error)
        case StoreDown():
            says = (
                "The controller's database does not answer, so it is unknown whether this happened. Instances serve on."
            )
            return ApiError(503, "store_down", says, _again("with the same Idempotency-Key"))
        case OffersUnknown():
            says = "The controller cannot read the applied config now. Instances serve on."
            return ApiError(503, "not_known", says, _again("with the same Idempotency-Key"))
    return _refusal(error)


def _refusal(error: Exception) -> ApiError:
    match error:
        case NoFleet():
            next_ = "Ask for one of `nearest`, or see GET /fleets."
            return ApiError(422, "no_such_fleet", error.says, next_, nearest=list(error.near))
        case OverLimit():
            key = f"clients.<name>.{error.limit}"
            next_ = (
                f"Ask for less or give claims back (DELETE /provision/<id>); the operator's key {key} sets the limit."
            )
            return ApiError(
                LIMIT_STATUS[error.limit], "over_limit", error.says, next_, limit=error.limit, most=error.most
            )
        case KeyReused():
            says = f"The Idempotency-Key {error.key!r} belongs to claim {error.claim}, which another request made."
            next_ = "Send the first request again to get that claim, or use a new key."
            return ApiError(422, "key_reused", says, next_, claim=error.claim, first=dict(error.first))
    return ApiError(500, "failed", "The controller failed at this request.", "Its log says why; tell the operator.")


def _again(how: str) -> str:
    return f"Send the request again in {RETRY_SECONDS} seconds, {how}."


def _invalid(error: RequestValidationError) -> ApiError:
    """Return the error that names each mistake, without the values that the client sent."""
    mistakes = [f"{_place(row)}: {row['msg']}" for row in error.errors()]
    says = f"The request is not valid: {'; '.join(mistakes)}."
    return ApiError(422, "invalid_request", says, "GET /openapi.json describes each field.", mistakes=mistakes)


def _place(row: Mapping[str, Any]) -> str:
    where, *path = (str(part) for part in row["loc"])
    return ".".join(path) if path and where == "body" else f"{where} {'.'.join(path)}".strip()


def _of_http(error: HTTPException) -> ApiError:
    if error.status_code == 404:
        return ApiError(404, "no_such_path", "There is nothing at this path.", "GET /openapi.json lists every path.")
    if error.status_code == 405:
        return ApiError(405, "no_such_method", "This path has no such method.", "GET /openapi.json lists the methods.")
    says = "The request's body cannot be read: it is no JSON in UTF-8, or too deep."
    return ApiError(422, "invalid_request", says, "GET /openapi.json describes each body.")
