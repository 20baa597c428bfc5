"""Answers calls about offers and instances: search, rent, show, list, change, logs, destroy."""

import secrets
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from sandbox.market.calls import Account, Call, LogFile
from sandbox.market.faults import answers
from sandbox.market.faults.odd import spoil_offer
from sandbox.market.protocol import filters
from sandbox.market.protocol.api_errors import (
    ApiError,
    invalid,
    no_credit,
    no_log_of,
    resources_unavailable,
    template_unknown,
)
from sandbox.market.records import instances
from sandbox.market.records.contracts import Contract, Request
from sandbox.market.records.offers import DEFAULT_STORAGE_GB

LONGEST_LABEL = 1024
CHOICES = ("actual_status", "verification", "gpu_name")


def search(call: Call) -> Any:
    """Answer a search, in both of its forms."""
    query = call.body.get("q", call.body)
    if not isinstance(query, dict):
        raise invalid("q: Input should be a valid dictionary", "bad_request")
    storage = filters.coerce(query.get("allocated_storage", DEFAULT_STORAGE_GB), 0.0)
    if not isinstance(storage, int | float) or isinstance(storage, bool) or storage < 0:
        raise invalid("allocated_storage: Input should be a valid number", "bad_request")
    bid = query.get("type", "on-demand") in ("bid", "interruptible")
    found = filters.search(call.account.market.listed(storage, bid), query)
    return {"offers": spoil_offer(call.account.market.faults, found)}


def rent(call: Call) -> Any:
    """Rent an offer."""
    offer_id = call.number("offer")
    price = call.body.get("price")
    if isinstance(price, int | float) and not 0.001 <= price <= 128:
        raise ApiError(400, "invalid_price", f"price {price} is outside of 0.001 to 128")
    if call.body.get("template_hash_id") or call.body.get("template_id"):
        raise template_unknown()
    try:
        wanted = Request.model_validate({key: value for key, value in call.body.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        raise invalid(f"error 400/3467: {'.'.join(map(str, first['loc']))}: {first['msg']}", "invalid_args") from None
    if call.account.credit_left() <= 0 or call.account.market.faults.take("no-credit", call.occasion):
        raise no_credit()
    contract = call.account.market.rent(offer_id, wanted)
    return {"success": True, "new_contract": contract.id, "instance_api_key": contract.api_key}


def show(call: Call) -> Any:
    """Show one instance; null if it does not exist, or if reads do not show it yet."""
    try:
        contract = call.account.market.get(call.number(), visible_only=True)
    except ApiError as refused:
        if refused.code != "no_such_instance":
            raise
        return {"instances": None}
    lie = answers.lie_about_instance(call.account.market.faults, "missing-in-show", contract.id, call.occasion)
    return lie or {"instances": _row(call.account, contract)}


def list_page(call: Call) -> Any:
    """List one page of instances."""
    rows = [_row(call.account, contract) for contract in call.account.market.visible()]
    return call.account.lists.page(rows, call.request.query_params)


def list_all(call: Call) -> Any:
    """List all instances by the list's first version.

    Refuse it if the market has moved the account to the new version, as it has done one by one since June 2026.
    """
    if not call.account.old_list:
        raise ApiError(410, "deprecated_endpoint", "Use /api/v1/instances/ instead")
    return {"success": True, "instances": [_row(call.account, contract) for contract in call.account.market.visible()]}


def list_filter_choices(call: Call) -> Any:
    """List the combinations of values in the fields that the market offers as filters."""
    rows = [_row(call.account, contract) for contract in call.account.market.visible()]
    found = dict.fromkeys(tuple(row[name] for name in CHOICES) for row in rows)
    return {"filters": [dict(zip(CHOICES, values, strict=True)) for values in found]}


def change(call: Call) -> Any:
    """Set a label, or start or stop an instance."""
    number, market = call.number(), call.account.market
    if "label" in call.body and call.guest is None:
        label = str(call.body["label"] or "")
        if len(label) > LONGEST_LABEL:
            raise invalid(f"label has more than {LONGEST_LABEL} characters", "label_too_long")
        market.get(number).label = label
        return {"success": True, "msg": f"label for {number} set to '{label}'"}
    return set_state(call, number)


def set_state(call: Call, number: int) -> Any:
    """Start or stop one instance."""
    state, market = call.body.get("state"), call.account.market
    if state == "stopped":
        market.stop(number)
    elif state == "running":
        if call.account.credit_left() <= 0:
            raise ApiError(400, "missing_billing", "Your account lacks credit; see the billing page.")
        if market.get(number).phase == "stopped" and market.faults.take("start-unavailable", call.occasion):
            raise resources_unavailable()
        market.start(number)
    else:
        raise invalid(f"state {state!r} is neither running nor stopped", "invalid_args")
    return {"success": True}


def reboot(call: Call) -> Any:
    """Stop and start an instance."""
    call.account.market.reboot(call.number())
    return {"success": True}


def destroy(call: Call) -> Any:
    """End an instance."""
    number, market = call.number(), call.account.market
    market.get(number)
    for fault in ("destroy-without-effect", "destroy-404-but-alive"):
        lie = answers.lie_about_instance(market.faults, fault, number, call.occasion)
        if lie is not None:
            return lie
    market.destroy(number)
    return {"success": True, "msg": f"Instance {number} destroyed."}


def request_log(call: Call) -> Any:
    """Copy the container log and return the URL of the copy, always the same for one instance."""
    number = call.number()
    try:
        contract = call.account.market.get(number)
    except ApiError:
        raise no_log_of(number) from None
    daemon = str(call.body.get("daemon_logs") or "").lower() == "true"
    whose = "daemon-" if daemon else ""
    text = contract.host.log() if contract.host is not None else ""
    text = f"instance {contract.id}: {contract.message or 'no trouble'}\n" if daemon else text
    tail = filters.coerce(call.body.get("tail") or "1000", 0)
    faults = call.account.market.faults
    missing = faults.take("log-missing", call.occasion)
    if missing is not None and missing.tally.struck % 2:
        raise ApiError(404, "invalid_id", f"There is no log of instance {contract.id}.")
    if faults.take("log-empty", call.occasion):
        text = ""
    elif text and faults.take("log-cut", call.occasion):
        text = text[: len(text) // 2]
    lines = [line for line in text.splitlines() if str(call.body.get("filter") or "") in line]
    name = next((name for name in call.account.logs if name.startswith(f"{whose}{contract.id}-")), "")
    name = name or f"{whose}{contract.id}-{secrets.token_hex(16)}.log"
    file = call.account.logs.setdefault(name, LogFile(""))
    file.late = missing is not None or faults.take("log-late", call.occasion) is not None
    file.text = "".join(f"{line}\n" for line in lines[-max(1, int(tail)) :])
    return {"success": True, "result_url": f"{call.request.base_url}logs/{name}", "msg": "Log requested."}


def read_log(account: Account, request: HttpRequest) -> Response:
    """Serve a log without a key to clients that know its URL. The first read of each is too early."""
    file = account.logs.get(str(request.path_params["name"]))
    if file is not None:
        file.asked += 1
    if file is None or file.late or file.asked == 1:
        return JSONResponse({"success": False, "error": "not_found", "msg": "No such key."}, 404)
    return PlainTextResponse(file.text)


def _row(account: Account, contract: Contract) -> dict[str, Any]:
    return instances.row(contract, account.market.clock)
