"""Answers calls about the account, its SSH keys and API keys, and the names of GPUs."""

import itertools
import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

from sandbox.hosts.sshd import bare
from sandbox.market import charges, invoices
from sandbox.market.calls import Call
from sandbox.market.keys import ScopeUnknown, read_scopes
from sandbox.market.protocol.api_errors import ApiError, invalid
from sandbox.market.records.machines import GPUS, RARE

_key_ids = itertools.count(1)


def list_gpu_names() -> dict[str, Any]:
    """Return the GPU names of offers. The market needs no key for this call."""
    return {"gpu_names": sorted(gpu.name for gpu in (*GPUS, *RARE))}


def show_account(call: Call) -> Any:
    """Return the account. `credit` is the spendable money in $."""
    return {
        "id": call.account.number,
        "username": call.account.name,
        "email": f"{call.account.name}@example.com",
        "credit": round(call.account.credit_left(), 6),
        "balance": 0,
        "balance_threshold": 0.0,
        "balance_threshold_enabled": False,
        "can_pay": True,
        "has_billing": True,
        "host_agreement_accepted": False,
        "ssh_key": next(iter(call.account.market.account_keys.values()), None),
        "sid": call.account.name,
    }


def list_charges(call: Call) -> Any:
    """List the account's charges, including those of ended contracts."""
    market = call.account.market
    return charges.page(market.current_and_ended(), call.request.query_params, market.clock)


def list_payments(call: Call) -> Any:
    """List the account's payments."""
    return invoices.page(call.account.credit, call.account.market.clock.start, call.request.query_params)


def list_ssh_keys(call: Call) -> Any:
    """Return the account's SSH keys as a bare list. Raises ApiError if there are none."""
    found = [_key_row(number, text, call) for number, text in call.account.market.account_keys.items()]
    if not found:
        raise ApiError(404, "no_ssh_key", "There are no SSH keys.")
    return JSONResponse(found)


def add_ssh_key(call: Call) -> Any:
    """Register a key that new instances admit."""
    text = _public_key(call)
    if _is_known(text, call.account.market.account_keys):
        raise invalid("This SSH key is registered already.", "duplicate_ssh_key")
    number = next(_key_ids)
    call.account.market.account_keys[number] = text
    return {"success": True, "key": _key_row(number, text, call)}


def replace_ssh_key(call: Call) -> Any:
    """Replace a key by another one."""
    number, text = call.number("key"), _public_key(call)
    if number not in call.account.market.account_keys:
        raise invalid("There is no such SSH key.", "no_ssh_key")
    call.account.market.account_keys[number] = text
    return {"success": True, "key": _key_row(number, text, call)}


def remove_ssh_key(call: Call) -> Any:
    """Remove a key."""
    if call.account.market.account_keys.pop(call.number("key"), None) is None:
        raise invalid("There is no such SSH key.", "no_ssh_key")
    return {"success": True}


def list_instance_keys(call: Call) -> Any:
    """Return an instance's keys: JSON inside JSON, as on the live market."""
    contract = call.account.market.get(call.number())
    return {"success": True, "ssh_keys": json.dumps([_key_row(n, text, call) for n, text in contract.keys.items()])}


def attach_ssh_key(call: Call) -> Any:
    """Add a key to an instance. Its host admits the key from now on."""
    contract, text = call.account.market.get(call.number()), _public_key(call)
    if _is_known(text, contract.keys):
        return {"success": False, "error": "already_associated", "msg": "SSH key is already associated with instance."}
    contract.keys[next(_key_ids)] = text
    if (host := contract.host) is not None:
        call.account.market.handle(contract, lambda: host.admit(text))
    return {"success": True, "msg": "SSH key added to instance."}


def detach_ssh_key(call: Call) -> Any:
    """Remove a key from an instance."""
    contract = call.account.market.get(call.number())
    text = contract.keys.pop(call.number("key"), None)
    if text is None:
        raise ApiError(404, "no_such_ssh_key", "There is no such SSH key.")
    if (host := contract.host) is not None:
        call.account.market.handle(contract, lambda: host.admit(text, on=False))
    return {"success": True}


def list_api_keys(call: Call) -> Any:
    """List the account's API keys without their secrets."""
    return {"apikeys": [key.public_row() for key in call.account.keys.all(call.account.number)]}


def make_api_key(call: Call) -> Any:
    """Make an API key. Only this answer holds its secret."""
    try:
        scopes = read_scopes(call.body.get("permissions"))
        key = call.account.keys.make(str(call.body.get("name") or "key"), scopes, call.account.number)
    except ScopeUnknown as error:
        raise invalid(f"permissions: {error}", "invalid_args") from None
    return {"id": key.id, "key": key.secret, "permissions": key.public_row()["rights"]}


def show_api_key(call: Call) -> Any:
    """Return one API key without its secret."""
    return call.account.keys.get(call.number("key"), call.account.number).public_row()


def remove_api_key(call: Call) -> Any:
    """Remove an API key."""
    number = call.number("key")
    call.account.keys.remove(number, call.account.number)
    return JSONResponse(f"API key {number} deleted.")


def _is_known(text: str, among: Mapping[int, str]) -> bool:
    return any(bare(one) == bare(text) for one in among.values())


def _public_key(call: Call) -> str:
    text = str(call.body.get("ssh_key") or "").strip()
    if not text.startswith(("ssh-", "ecdsa-", "sk-")):
        raise invalid("ssh_key is not an OpenSSH public key.", "no_ssh_key")
    return text


def _key_row(number: int, text: str, call: Call) -> dict[str, Any]:
    clock = call.account.market.clock
    now = clock.on_the_wire(clock.now())
    return {"id": number, "user_id": call.account.number, "public_key": text, "created_at": now, "deleted_at": None}
