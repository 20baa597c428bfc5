"""The end of an instance as the ledger learns it, pure but for the ledger: how long it was rented, what that cost, and why it
ended.

The event has an attempt of its own, named after the instance: whoever ends an instance does not know which attempt brought
it. It may be written twice, by a delete that was cut short and by the next; the first one counts.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from providers.ledger.event import Event, Outcome, Reason
from providers.ledger.ledger import Ledger
from providers.old_state import seconds_of
from providers.vast.api import label
from providers.vast.api.instance import Instance

GONE = "the market does not list it any more, and nobody gave it back from here"
GIVEN_BACK = "given back by `pulumi`"
SURPLUS = "given back, because another instance held its label"
SWEPT = "given back by `sweep`"
MESSAGE_LETTERS = 600


def state_ended(
    ledger: Ledger, now: float, mark: str, instance_id: int, outs: Mapping[str, Any], why: str, reason: Reason | None
) -> None:
    """Write down the end of an instance that state knew, by its outputs; `mark` is its label, `now` in unix seconds."""
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
    """Write down the end of an instance that no state knew, by its last row of the market's list."""
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
    """Return the end of each instance by its id, where events tell of it: the first, if several do."""
    found: dict[int, Event] = {}
    for event in sorted(events, key=lambda each: each.at):
        if event.outcome is Outcome.ENDED and event.instance_id is not None:
            found.setdefault(event.instance_id, event)
    return found
