"""Record an instance's end in the ledger: how long it was rented, its cost, and why it ended. Pure but for the ledger.

The event has an attempt of its own, named after the instance, because a delete does not know the attempt that rented it.
It may be written twice: by a delete that was interrupted and by the next delete. `ends` counts the first.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from providers.ledger.event import Event, Outcome, Reason
from providers.ledger.ledger import Ledger
from providers.old_state import seconds_of
from providers.vast.api import label
from providers.vast.api.instance import Instance

GONE = "the market does not list it any more, and this stack did not give it back"
GIVEN_BACK = "given back by `pulumi`"
SURPLUS = "given back, because another instance held its label"
NOT_KEPT = "given back by a create, because it"
SWEPT = "given back by `sweep`"
STACK_ENDED = "given back at the end of the stack, because no state knew it"
MESSAGE_LETTERS = 600


def state_ended(
    ledger: Ledger, now: float, mark: str, instance_id: int, outs: Mapping[str, Any], why: str, reason: Reason | None
) -> None:
    """Record the end of an instance from its outputs in state. `mark`: its label; `now`: unix seconds."""
    drift = "; ".join(str(one) for one in outs.get("drift") or [])
    phases, machine = seconds_of(outs), (outs.get("machine") or {}).get("id")
    created = float(outs.get("createdAt") or now)
    began = created - sum(phases.values())
    known = {
        "machine_id": None if machine is None else int(machine),
        "usd_per_hour": outs.get("usdPerHour"),
        "message": f"{why}; the last refresh said: {drift}" if drift else why,
        "reason": reason,
    }
    _write(ledger, mark, instance_id, began, now, known)


def row_ended(ledger: Ledger, now: float, instance: Instance, why: str) -> None:
    """Record the end of an instance that is in no state, from its last row of the market's list. `now`: unix seconds."""
    began = now if instance.start_date is None else instance.start_date
    known = {"machine_id": instance.machine_id, "usd_per_hour": instance.dph_total, "message": why}
    _write(ledger, instance.label or "", instance.id, began, now, known)


def _write(ledger: Ledger, mark: str, instance_id: int, began: float, ended: float, known: Mapping[str, Any]) -> None:
    parts = label.parse(mark)
    if parts is None:
        return
    seconds = max(0.0, ended - began)
    blank = Event(
        at=ended,
        stack_id=parts.stack_id,
        name=parts.name,
        attempt=f"{instance_id:x}",
        step=1,
        outcome=Outcome.ENDED,
        instance_id=instance_id,
        seconds=round(seconds, 3),
        usd=round(seconds / 3600 * float(known.get("usd_per_hour") or 0.0), 6),
    )
    ledger.append(blank.model_copy(update={**known, "message": str(known["message"])[:MESSAGE_LETTERS]}))


def ends(events: Iterable[Event]) -> dict[int, Event]:
    """Return the end of each instance by its id. If several events name its end, return the first."""
    found: dict[int, Event] = {}
    for event in sorted(events, key=lambda each: each.at):
        if event.outcome is Outcome.ENDED and event.instance_id is not None:
            found.setdefault(event.instance_id, event)
    return found
