"""Rebuilds an instance's container on its machine: pulls the image again and loses the disk."""

from typing import Any

from sandbox.market.calls import Call
from sandbox.market.protocol.api_errors import invalid, resources_unavailable
from sandbox.market.records import states


def recycle(call: Call) -> Any:
    """Recycle an instance. Its id, keys and bill stay; its ports change."""
    market = call.account.market
    with market.lock:
        contract, now = market.get(call.number()), market.clock.now()
        if not contract.holds_gpu or now >= contract.ends:
            raise resources_unavailable()
        if contract.starting:
            raise invalid(f"Instance {contract.id} is being started.", "invalid_args")
        host = contract.host
        if host is None and contract.phase == "booting":
            return {"success": True}  # the machine is still pulling the image
        contract.meter.halt(now)
        contract.phase, contract.message, contract.up_since = "booting", "", None
        contract.first_boot, contract.host = host is None, None
        contract.due = now + states.boot_of(contract.machine, contract.request.image).total
        contract.rebooting_until = now + states.CREATED_SECONDS
        if host is not None:
            contract.earlier_traffic = contract.traffic(host)
    if host is not None:
        market.handle(contract, host.destroy)
    return {"success": True}
