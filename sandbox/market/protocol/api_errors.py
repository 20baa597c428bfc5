"""The market's errors: HTTP status, code and text, as the live service sent them."""

from collections.abc import Mapping
from typing import Any

NOT_EMULATED = "not_emulated"


class ApiError(Exception):
    """An error for the client. `more` adds fields to the error object."""

    def __init__(self, status: int, code: str, message: str, more: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.more = dict(more or {})

    def body(self) -> dict[str, Any]:
        """Return the error object of the answer."""
        return {"success": False, "error": self.code, "msg": str(self), **self.more}


def no_such_ask(offer_id: int, status: int = 404) -> ApiError:
    """Return the error for a missing offer.

    The live market answers 410 or 400 if another customer was faster, in another form than for a number that never
    existed.
    """
    if status == 410:
        message = f"error 410/3907: no_such_ask Instance type by id {offer_id} is no longer available."
        return ApiError(status, "no_such_ask", message, {"ask_id": offer_id})
    if status == 400:
        return ApiError(status, "no_such_ask", f"Offer {offer_id} is no longer available.", {"ask_id": offer_id})
    message = f"error 404/3603: no_such_ask Instance type by id {offer_id} is not available."
    return ApiError(404, "invalid_args", message, {"ask_id": offer_id})


def bid_too_low(offer_id: int, contract_id: int, lowest: float) -> ApiError:
    """Return the error for a contract that exists, does not run, and costs its disk."""
    more = {"ask_id": offer_id, "new_contract": contract_id}
    return ApiError(400, "invalid_price", f"The bid is under the minimum of {lowest:.4f} $/h.", more)


def left_stopped(offer_id: int, contract_id: int) -> ApiError:
    """Return the error for a rental that left a stopped contract, which costs its disk."""
    more = {"ask_id": offer_id, "new_contract": contract_id}
    return ApiError(400, "start_failed", "The instance was created and could not be started.", more)


def no_credit(contract_id: int | None = None) -> ApiError:
    """Return the error for a rental without money. The live market has left a contract behind in this case too."""
    more = {} if contract_id is None else {"new_contract": contract_id}
    return ApiError(400, "insufficient_credit", "Your account lacks credit; see the billing page.", more)


def resources_unavailable() -> ApiError:
    """Return the error for a start without a free GPU; its status is 200, as on the live market."""
    message = "Required resources are currently unavailable, state change queued."
    return ApiError(200, "resources_unavailable", message)


def no_such_instance(instance_id: int) -> ApiError:
    """Return the error for a missing instance."""
    return ApiError(404, "no_such_instance", f"Instance {instance_id} not found.")


def login_required() -> ApiError:
    """Return the error for a call without a key."""
    return ApiError(403, "auth_error", "This action requires login.")


def key_unknown() -> ApiError:
    """Return the error for an unknown key; its status is 404, as on the live market."""
    return ApiError(404, "auth_error", "Invalid user key")


def out_of_scope() -> ApiError:
    """Return the error for a call that a container's own key may not make."""
    return ApiError(401, "auth_error", "This key may only show, start, stop and destroy its own instance.")


def lacks_scope(scope: str) -> ApiError:
    """Return the error for a call outside a key's scopes."""
    return ApiError(401, "auth_error", f"This key lacks the scope {scope}.")


def no_log_of(instance_id: int) -> ApiError:
    """Return the error for the log of a missing instance."""
    return ApiError(404, "invalid_id", f"Instance {instance_id} not found.")


def template_unknown() -> ApiError:
    """Return the error for a rental by a template."""
    return unemulated("templates (template_hash_id, template_id)")


def unemulated(what: str) -> ApiError:
    """Return the error for a feature that the live market may have and the sandbox lacks."""
    return ApiError(501, NOT_EMULATED, f"The sandbox does not emulate {what}.")


def invalid(message: str, code: str = "invalid_request") -> ApiError:
    """Return the error for a malformed request."""
    return ApiError(400, code, message)
