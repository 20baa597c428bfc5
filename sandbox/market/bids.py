"""Answers bids for interruptible instances. A bid under the machine's minimum loses the GPU; a high enough one wins
it back.
"""

from typing import Any

from sandbox.market.calls import Call
from sandbox.market.protocol.api_errors import invalid
from sandbox.market.records import offers

LOWEST, HIGHEST = 0.001, 32.0  # the bounds in $/h of the market's description


def change(call: Call) -> Any:
    """Bid another price in $/h for all GPUs; the default is the lowest winning bid. The market bills it from now on."""
    price, market = call.body.get("price"), call.account.market
    if price is not None and (isinstance(price, bool) or not isinstance(price, int | float)):
        raise invalid("price: Input should be a valid number", "invalid_args")
    if price is not None and not LOWEST <= price <= HIGHEST:
        raise invalid(f"price {price} is outside of {LOWEST} to {HIGHEST:g}", "invalid_args")
    with market.lock:
        contract, now = market.get(call.number()), market.clock.now()
        if contract.request.price is None:
            raise invalid(f"Instance {contract.id} is on demand: it has no bid.", "invalid_args")
        lowest = offers.gpu_usd_per_hour(contract.machine, bid=True)
        bid = lowest if price is None else float(price)
        contract.request.price = bid
        contract.meter.reprice(now, bid)
        if bid < lowest and contract.holds_gpu:
            market.stop(contract.id)
            contract.holds_gpu = False
            market.list_again(contract.machine)
        elif bid >= lowest and not contract.holds_gpu and now < contract.ends and call.account.credit_left() > 0:
            contract.holds_gpu = market.unlist(contract.machine)
            if contract.holds_gpu:
                market.start(contract.id)
    return {"success": True}
