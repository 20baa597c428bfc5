"""Rows that the exporter reads: events of a ledger, an attempt at a time, and instances and charges of the market."""

from typing import Any

from providers.ledger.event import Event
from providers.vast.api.instance import Instance
from providers.vast.api.label import Label
from providers.vast.api.responses import Charge

NAME = "chat-0"


def event(at: float, outcome: str, attempt: str = "a", **known: Any) -> Event:
    fields = {"stack_id": "stack", "instance_id": 7, "machine_id": 70, "usd_per_hour": 0.36, "step": 1, **known}
    return Event.model_validate({"at": at, "name": NAME, "attempt": attempt, "outcome": outcome, **fields})


def attempt(
    began: float, attempt: str = "a", phases: dict[str, float] | None = None, reason: str | None = None, **known: Any
) -> list[Event]:
    """An attempt whose phases were through at these seconds; with a reason it failed a second later and was given back."""
    events = [event(began, "renting", attempt, **{**known, "instance_id": None})]
    for phase, seconds in (phases or {}).items():
        named = {"outcome": "rented"} if phase == "rent" else {"outcome": "passed", "phase": phase}
        events.append(event(began + seconds, attempt=attempt, seconds=seconds, usd=seconds / 10_000, **named, **known))
    last = max((phases or {"": 0.0}).values())
    if reason is None:
        return [*events, event(began + last, "served", attempt, seconds=last, usd=last / 10_000, **known)]
    ended = {"seconds": last + 1, "usd": (last + 1) / 10_000}
    failed = event(began + last + 1, "failed", attempt, reason=reason, **ended, **known)
    return [*events, failed, event(began + last + 1, "given-back", attempt, **ended, **known)]


def instance(number: int, name: str = NAME, stack_id: str = "stack", **known: Any) -> Instance:
    fields = {
        "actual_status": "running",
        "gpu_name": "RTX 4090",
        "machine_id": number * 10,
        "geolocation": "Sweden, SE",
        "dph_total": 0.36,
    }
    return Instance(id=number, label=str(Label(stack_id, name)), **{**fields, **known})


def charge(number: int, start: float, end: float, usd: dict[str, float], stack_id: str = "stack") -> Charge:
    """What an instance was charged between two moments (unix seconds), by the market's kinds."""
    row = {
        "source": f"instance-{number}",
        "start": start,
        "end": end,
        "amount": sum(usd.values()),
        "metadata": {"label": str(Label(stack_id, NAME))},
        "items": [{"type": kind, "amount": amount} for kind, amount in usd.items()],
    }
    return Charge.model_validate(row)
