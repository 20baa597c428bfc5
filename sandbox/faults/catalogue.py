"""Lists every fault by its name."""

import difflib
from collections.abc import Mapping

from sandbox.faults.fault import Fault, FaultUnknown
from sandbox.faults.hetzner import HETZNER
from sandbox.faults.hosts import HOSTS, VLLM
from sandbox.faults.market import MARKET
from sandbox.faults.store import STORE

FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in (*MARKET, *HOSTS, *STORE, *VLLM, *HETZNER)}


def named(name: str) -> Fault:
    """Return a fault. Raises FaultUnknown, with a similar name if there is one."""
    if name not in FAULTS:
        near = difflib.get_close_matches(name, FAULTS, 1)
        hint = f"Did you mean '{near[0]}'?" if near else "They are listed by: python -m sandbox faults"
        raise FaultUnknown(f"There is no fault '{name}'. {hint}")
    return FAULTS[name]
