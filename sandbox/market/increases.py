"""Answers with the price increases that landlords have announced, one row for each contract.

The old price holds until the contract's end. The market extends it only for customers who accept, and the sandbox
does not emulate accepting.
"""

from typing import Any

from sandbox.market.calls import Call
from sandbox.market.records.clock import MarketClock
from sandbox.market.records.contracts import Contract


def list_pending(call: Call) -> Any:
    """List the price increases of the account's contracts."""
    rows = [
        _row(contract, call.account.market.clock)
        for contract in call.account.market.visible()
        if contract.announced_price is not None
    ]
    return {"success": True, "count": len(rows), "truncated": False, "pending_price_increases": rows}


def _row(contract: Contract, clock: MarketClock) -> dict[str, Any]:
    assert contract.announced_price is not None
    at, usd_per_hour = contract.announced_price
    traffic = contract.machine.traffic_cost
    same = {"disk_ram_costpersec": None, "bwu_cost": traffic, "bwd_cost": traffic, "platform_fee": None}
    return {
        "pending_price_increase_id": contract.id + 1_000_000,
        "contract_id": contract.id,
        "host_id": contract.machine.host_id,
        "new_gpu_costpersec": usd_per_hour / 3600,
        "old_gpu_costpersec": contract.meter.gpu_usd_per_hour / 3600,
        **{f"{when}_{name}": value for name, value in same.items() for when in ("new", "old")},
        "contract_end_date": clock.on_the_wire(contract.ends),
        "ask_end_date": clock.on_the_wire(contract.ends),
        "created_at": clock.on_the_wire(at),
    }
