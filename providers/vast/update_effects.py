"""Estimate which endpoint a change closes for clients, and for about how long. Pure rules."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from providers.old_state import seconds_of
from providers.vast.changes import Changes
from providers.vast.own_end import ENDING_ITSELF_DRIFT
from providers.vast.running_check import is_down
from providers.vast.settings import InstanceSettings

RESTARTS = frozenset({"model", "server"})  # inputs whose change restarts vLLM
REPLACES_PROGRAMS = frozenset({"kit", "drift"})  # inputs whose change replaces programs of the host, or repairs it


@dataclass(frozen=True)
class Effect:
    """Effect of one change on the clients.

    `closes`: whether clients find the endpoint closed; `why` says it. `seconds`: about how long, None if unknown.
    """

    closes: bool = False
    why: str = ""
    seconds: float | None = None
    replaces: bool = False

    def describe(self) -> str:
        """Format the effect in words."""
        if not self.closes:
            return "the endpoint stays open"
        return f"endpoint closed {self.why}{about(self.seconds)}"


REPLACED = Effect(True, "until another machine serves", replaces=True)


def effect(found: Changes, old: InstanceSettings, new: InstanceSettings, outs: Mapping[str, Any]) -> Effect:
    """Estimate the effect of an update from its changes and from the phase times of the last start."""
    phases = seconds_of(outs)
    if found.replace:
        whole = sum(phases.values()) if "wait" in phases else None
        return replace(REPLACED, seconds=whole)
    if RESTARTS & set(found.in_place):
        return Effect(True, "while vLLM restarts", _of(phases, "start", "probe"))
    renewed = old.access.certificate_epoch != new.access.certificate_epoch or _has_lease(old) != _has_lease(new)
    if REPLACES_PROGRAMS & set(found.in_place) or renewed:
        return Effect(True, "while the gate restarts")
    return Effect()


def _has_lease(settings: InstanceSettings) -> bool:
    limits = settings.self_destruct
    return limits is not None and limits.lease_minutes is not None


def serves(outs: Mapping[str, Any]) -> bool:
    """Return whether the instance may serve. It does not if the market has named its failure, or if it ends itself."""
    drifts = [str(drift) for drift in outs.get("drift") or []]
    return not any(is_down(drift) or drift.startswith(ENDING_ITSELF_DRIFT) for drift in drifts)


def _of(phases: Mapping[str, float], *names: str) -> float | None:
    return sum(phases.get(name, 0.0) for name in names) if names[0] in phases else None


def about(seconds: float | None) -> str:
    """Format `, about 40 s` or `, about 3 min`; empty if the time is unknown."""
    if seconds is None:
        return ""
    return f", about {seconds:.0f} s" if seconds < 90 else f", about {seconds / 60:.0f} min"
