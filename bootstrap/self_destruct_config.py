"""Render the configuration of a host's self-destruct service, pure: when the host ends itself although it serves."""

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class SelfDestruct:
    """Say after how many seconds a host ends itself; None for no such limit.

    `idle`: time without a request. `lifetime`: time since the rent, busy or not. `lease`: time since its last renewal, if the
    host is idle.
    `market`: the market's URL as hosts reach it.
    """

    market: str
    idle: float | None = None
    lifetime: float | None = None
    lease: float | None = None


def self_destruct_config(kit: str, limits: SelfDestruct) -> str:
    """Return the text of self-destruct.wanted. It names the kit, because another kit may bring other rules."""
    known = {"idle": limits.idle, "lifetime": limits.lifetime, "lease": limits.lease}
    kept = {name: seconds for name, seconds in known.items() if seconds is not None}
    return json.dumps({"kit": kit, "market": limits.market.rstrip("/"), **kept}, sort_keys=True, indent=1)
