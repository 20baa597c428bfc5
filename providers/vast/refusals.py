"""What the market's refusals mean, pure: sorted by what the caller does about them.

Codes and texts decide, because statuses mislead: a key that is not accepted is a 404, a taken offer may be a 400.
"""

from typing import Any

from providers.vast import errors


def refusal(call: str, status: int, retry_after: str | None, payload: dict[str, Any]) -> errors.VastError:
    """Return the error for an answer that is not 200; `retry_after` is the header's text, `payload` the body's object.

    An empty payload stands for a body that is no JSON object.
    """
    code, text = str(payload.get("error") or ""), str(payload.get("msg") or payload.get("detail") or "")
    said = f"HTTP {status} {code} {text}".strip()
    if status == 429:
        return errors.RateLimited(call, _seconds(retry_after, payload.get("retry_after")))
    if code == "auth_error" or status in {401, 403} or "session expired" in text.lower():
        return errors.CredentialsRefused(
            f"vast.ai does not accept the key for '{call}' ({said}). Nothing is known about any instance from this answer. "
            "Set a valid key: pulumi config set --secret gpu-fleet:vastApiKey"
        )
    if call == "rent" and (status == 410 or "no_such_ask" in f"{code} {text}" or code == "no_such_ask"):
        contract = payload.get("new_contract")
        return errors.OfferGone(0, said, int(contract) if contract is not None else None)
    if code in {"insufficient_credit", "spend_rate_limit", "missing_billing"} or "lacks credit" in text:
        return errors.NoCredit(f"vast.ai refuses to rent: {text or code}. Add credit on its billing page.")
    if status >= 500 or not payload:
        return errors.OutcomeUnknown(call, said)
    if call == "rent" and payload.get("new_contract") is not None:
        return errors.OfferGone(0, said, int(payload["new_contract"]))
    return errors.RequestInvalid(f"vast.ai refuses '{call}': {said}")


def _seconds(*hints: Any) -> float | None:
    for value in hints:
        try:
            return float(value)
        except (TypeError, ValueError):
            continue
    return None
