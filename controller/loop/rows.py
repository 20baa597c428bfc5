"""Write events into the rows of slots."""

from controller.ports import Ports
from controller.reasons import Reason
from controller.slots import Impossible, Slot, SlotEvent, advance


def happened(
    ports: Ports,
    fleet: str,
    row: Slot,
    event: SlotEvent,
    reasons: tuple[Reason, ...] = (),
    usd_per_hour: float | None = None,
) -> Slot | None:
    """Write an event into a row, then note it; None if the row has changed since, or cannot have the event."""
    try:
        after = advance(row, event, ports.clock.time(), usd_per_hour)
    except Impossible:
        return None
    if not ports.rows.write(fleet, row, after, event, reasons):
        return None
    ports.ledger.happened(fleet, row, after, event, reasons)
    return after
