"""Turn the market's refusals into errors; pure. Each error class stands for one reaction of the caller.

Codes and texts decide, because statuses mislead. A rejected key is a 404, and a taken offer may be a 400. A 403 may be
a page of the proxy in front of the market. Only the market's own codes and texts prove a rejected key. Any other
unusable answer is a doubt.
"""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from providers.vast.api import errors

Answer = TypeVar("Answer", bound=BaseModel)

OF_THE_KEY = frozenset({"auth_error", "not_authorized"})
OF_THE_MONEY = frozenset({"insufficient_credit", "spend_rate_limit", "missing_billing"})
DOUBTFUL = frozenset({401, 403, 408})  # without a code about the key, a proxy or firewall sent it
NOT_FOUND = frozenset({"no_such_instance", "not_found"})
# By call: the success answer that stands in for a "not found" refusal.
NOTHING_THERE: Mapping[str, dict[str, Any]] = {"destroy": {}, "show": {"instances": None}, "logs": {"result_url": ""}}


def parse_answer(
    call: str, model: type[Answer], status: int, retry_after: str | None, payload: dict[str, Any]
) -> Answer:
    """Return an answer as its model. Raises VastError for a refusal or for an answer of another shape.

    `status`, `retry_after` and `payload` are those of `refusal`.
    """
    if status == 200 and payload.get("success") is not False:
        try:
            return model.model_validate(payload)
        except ValidationError as error:
            fields = ", ".join(".".join(map(str, row["loc"])) for row in error.errors()[:3])
            raise errors.OutcomeUnknown(call, f"an answer of another shape, at: {fields or 'the top'}") from error
    if (nothing := nothing_there(call, status, payload)) is not None:
        return model.model_validate(nothing)
    raise refusal(call, status, retry_after, payload)


def nothing_there(call: str, status: int, payload: dict[str, Any]) -> dict[str, Any] | None:
    """Return the answer that stands in for a refusal that says "not found"; None for any other refusal."""
    code = payload.get("error")
    # The market answers with any kind of 404 if the landlord's daemon has not uploaded a log.
    no_log = call == "logs" and status == 404 and code not in OF_THE_KEY
    return NOTHING_THERE.get(call) if code in NOT_FOUND or no_log else None


def refusal(call: str, status: int, retry_after: str | None, payload: dict[str, Any]) -> errors.VastError:
    """Return the error for a refusal: any status but 200, or a 200 with success false.

    `retry_after` is the header's text, `payload` the body's object. An empty payload means that the body is no JSON
    object.
    """
    code, text = str(payload.get("error") or ""), str(payload.get("msg") or payload.get("detail") or "")
    answer = f"HTTP {status} {code} {text}".strip()
    left = _contract(payload.get("new_contract")) if call == "rent" else None
    if code in OF_THE_KEY or "session expired" in text.lower():
        return errors.CredentialsRefused(
            f"vast.ai does not accept the key for '{call}' ({answer}). Nothing is known about any instance from this answer. "
            "Set a valid key: pulumi config set --secret gpu-fleet:vastApiKey"
        )
    if code in OF_THE_MONEY or "lacks credit" in text:
        return errors.NoCredit(f"vast.ai refuses to rent: {text or code}. Add credit on its billing page.", left)
    if left is not None or (call == "rent" and (status == 410 or "no_such_ask" in f"{code} {text}")):
        return errors.OfferGone(0, answer, left)
    if status == 429:
        return errors.RateLimited(call, _seconds(retry_after, payload.get("retry_after")))
    if status >= 500 or status in DOUBTFUL or not payload:
        return errors.OutcomeUnknown(call, answer)
    return errors.RequestInvalid(f"vast.ai refuses '{call}': {answer}")


def _contract(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def json_object(body: bytes) -> dict[str, Any]:
    """Return the body if it is a JSON object, else an empty one."""
    try:
        payload = json.loads(body)
    except ValueError:
        payload = None
    return payload if isinstance(payload, dict) else {}


def _seconds(*hints: Any) -> float | None:
    for value in hints:
        try:
            return float(value)
        except (TypeError, ValueError):
            continue
    return None
