"""Events of a ledger in the exporter's words, an attempt at a time."""

from typing import Any

from monitoring.exporter.sources import Happening

NAME = "chat-0"


def told(at: float, outcome: str, attempt: str = "a", **known: Any) -> Happening:
    fields = {"instance_id": 7, "machine_id": 70, "usd_per_hour": 0.36, **known}
    return Happening(at=at, stack_id="stack", name=NAME, attempt=attempt, outcome=outcome, **fields)


def attempt(
    began: float, attempt: str = "a", phases: dict[str, float] | None = None, reason: str | None = None, **known: Any
) -> list[Happening]:
    """An attempt whose phases were through at these seconds; with a reason it failed a second later and was given back."""
    events = [told(began, "renting", attempt, **{**known, "instance_id": None})]
    for phase, seconds in (phases or {}).items():
        named = {"outcome": "rented"} if phase == "rent" else {"outcome": "passed", "phase": phase}
        events.append(told(began + seconds, attempt=attempt, seconds=seconds, usd=seconds / 10_000, **named, **known))
    last = max((phases or {"": 0.0}).values())
    if reason is None:
        return [*events, told(began + last, "served", attempt, seconds=last, usd=last / 10_000, **known)]
    ended = {"seconds": last + 1, "usd": (last + 1) / 10_000}
    failed = told(began + last + 1, "failed", attempt, reason=reason, **ended, **known)
    return [*events, failed, told(began + last + 1, "given-back", attempt, **ended, **known)]
