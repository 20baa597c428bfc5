"""Everything that the store knows of one claim, read in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass

from controller.slots import Slot
from controller.store import claim_rows, event_rows, slot_rows
from controller.store.claim_rows import KeptClaim
from controller.store.connections import Connection
from controller.store.event_rows import StoredEvent

BOOTS = 20  # the last ones tell how long the next takes


@dataclass(frozen=True)
class ClaimView:
    """A claim, the slots of its fleet, and what happened.

    `times` has the endpoint and the seconds in its state of each slot. `boots` are seconds, newest first. `decision` is the
    newest event of the fleet as a whole, `events` those of the slots that served the claim.
    """

    kept: KeptClaim
    slots: tuple[Slot, ...]
    times: Mapping[int, tuple[str | None, float]]
    boots: tuple[float, ...]
    decision: StoredEvent | None
    events: tuple[StoredEvent, ...]


def view(connection: Connection, id_: str) -> ClaimView | None:
    """Return a claim with its own events and its fleet's slots, boots and last decision; None if it was never made."""
    kept = claim_rows.find(connection, id_)
    if kept is None:
        return None
    fleet = kept.claim.fleet
    return ClaimView(
        kept,
        slot_rows.read(connection, fleet),
        slot_rows.times(connection, fleet),
        slot_rows.boots(connection, fleet, BOOTS),
        event_rows.last_decision(connection, fleet),
        event_rows.of_claim(connection, id_),
    )
