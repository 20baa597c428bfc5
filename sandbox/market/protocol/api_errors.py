"""What the market says no with: HTTP status, machine word and text, as they were seen on the live service."""

from collections.abc import Mapping
from typing import Any

NOT_EMULATED = "not_emulated"


class ApiError(Exception):
    """A refusal on its way to the client. `more` is added to the error object."""

    def __init__(self, status: int, code: str, message: str, more: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.more = dict(more or {})

    def body(self) -> dict[str, Any]:
        """Return the error object of the answer."""
        return {"success": False, "error": self.code, "msg": str(self), **self.more}


def no_such_ask(offer_id: int, status: int = 404) -> ApiError:
    """Refuse a rental of what is not there. 410 and 400 were seen where it was lost in a race, in another form than for
    a number that was never there."""
    if status == 410:
        message = f"error 410/3907: no_such_ask Instance type by id {offer_id} is no longer available."
        return ApiError(status, "no_such_ask", message, {"ask_id": offer_id})
    if status == 400:
        return ApiError(status, "no_such_ask", f"Offer {offer_id} is no longer available.", {"ask_id": offer_id})
    message = f"error 404/3603: no_such_ask Instance type by id {offer_id} is not available."
    return ApiError(404, "invalid_args", message, {"ask_id": offer_id})


def bid_too_low(offer_id: int, contract_id: int, lowest: float) -> ApiError:
    """Refuse to run a contract that nevertheless exists and costs its disk."""
    more = {"ask_id": offer_id, "new_contract": contract_id}
    return ApiError(400, "invalid_price", f"The bid is under the minimum of {lowest:.4f} $/h.", more)


def left_stopped(offer_id: int, contract_id: int) -> ApiError:
    """Refuse a rental that has made a contract all the same, which is stopped and costs its disk."""
    more = {"ask_id": offer_id, "new_contract": contract_id}
    return ApiError(400, "start_failed", "The instance was created and could not be started.", more)


def no_credit(contract_id: int | None = None) -> ApiError:
    """Refuse to rent without money; seen with a contract that was made all the same."""
    more = {} if contract_id is None else {"new_contract": contract_id}
    return ApiError(400, "insufficient_credit", "Your account lacks credit; see the billing page.", more)


def resources_unavailable() -> ApiError:
    """Refuse to start: with 200, as the live market does."""
    message = "Required resources are currently unavailable, state change queued."
    return ApiError(200, "resources_unavailable", message)


def no_such_instance(instance_id: int) -> ApiError:
    """Refuse to act on an instance that is not there."""
    return ApiError(404, "no_such_instance", f"Instance {instance_id} not found.")


def login_required() -> ApiError:
    """Refuse a call without a key."""
    return ApiError(403, "auth_error", "This action requires login.")


def key_unknown() -> ApiError:
    """Refuse a key; 404, as the live market does."""
    return ApiError(404, "auth_error", "Invalid user key")


def out_of_scope() -> ApiError:
    """Refuse a call that a container's own key may not make."""
    return ApiError(401, "auth_error", "This key may only show, start, stop and destroy its own instance.")


def lacks_scope(scope: str) -> ApiError:
    """Refuse a call that a key's scopes do not open."""
    return ApiError(401, "auth_error", f"This key lacks the scope {scope}.")


def no_log_of(instance_id: int) -> ApiError:
    """Refuse the log of an instance that is not there."""
    return ApiError(404, "invalid_id", f"Instance {instance_id} not found.")


def template_unknown() -> ApiError:
    """Refuse to rent by a template."""
    return unemulated("templates (template_hash_id, template_id)")


def unemulated(what: str) -> ApiError:
    """Refuse what the live market may have and the sandbox does not."""
    return ApiError(501, NOT_EMULATED, f"The sandbox does not emulate {what}.")


def invalid(message: str, code: str = "invalid_request") -> ApiError:
    """Refuse a request for its form."""
    return ApiError(400, code, message)
