"""Answers calls about several instances: applies the call to each, and reports each failure."""

from collections.abc import Callable
from typing import Any

from sandbox.market import rentals
from sandbox.market.calls import Call
from sandbox.market.protocol.api_errors import ApiError, invalid

MOST = 64  # instances in one call


def change(call: Call) -> Any:
    """Start or stop several instances."""
    return _each(call, "ids", lambda number: rentals.set_state(call, number))


def destroy(call: Call) -> Any:
    """End several instances."""
    return _each(call, "instance_ids", call.account.market.destroy)


def _each(call: Call, name: str, do: Callable[[int], Any]) -> Any:
    numbers = call.body.get(name)
    whole = isinstance(numbers, list) and all(isinstance(one, int) and not isinstance(one, bool) for one in numbers)
    if not numbers or not whole or len(numbers) > MOST:
        raise invalid(f"{name}: Input should be a list of 1 to {MOST} ids", "invalid_args")
    failed = {}
    for number in numbers:
        try:
            do(number)
        except ApiError as refused:
            failed[str(number)] = refused.body()
    return {"success": not failed, "failed": failed, "msg": f"{len(numbers) - len(failed)} of {len(numbers)} done."}
