"""Facts of a rented machine in state. The market names some of them only after a while.

A row right after the rent may lack any fact. A missing fact is absent, and is filled in when the market names it. A
known fact stays.
"""

from collections.abc import Mapping
from typing import Any

from providers.vast.api.instance import Instance
from providers.vast.changes import Machine


def facts_of(instance: Instance) -> dict[str, Any]:
    """Return the facts of a row as state holds them: None, or an empty country, if the market gives none."""
    return {
        "id": instance.machine_id,
        "gpuName": instance.gpu_name,
        "gpuCount": instance.num_gpus,
        "diskGb": instance.disk_space,
        "country": (instance.geolocation or "").rsplit(",", 1)[-1].strip().upper(),
    }


def filled(known: Mapping[str, Any] | None, instance: Instance) -> dict[str, Any]:
    """Return the facts in state, with absent ones filled in from a row."""
    before = known or {}
    return {**before, **{key: before.get(key) or fact for key, fact in facts_of(instance).items()}}


def machine_of(outs: Mapping[str, Any]) -> Machine:
    """Return the machine that outputs describe; a fact is empty or 0 if absent."""
    machine = outs.get("machine") or {}
    return Machine(
        gpu_name=str(machine.get("gpuName") or ""),
        gpu_count=int(machine.get("gpuCount") or 0),
        disk_gb=float(machine.get("diskGb") or 0),
        usd_per_hour=float(outs.get("usdPerHour") or 0),
        country=str(machine.get("country") or ""),
        charged_usd_per_hour=outs.get("chargedUsdPerHour"),
    )
