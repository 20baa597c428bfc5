"""The controller's table behind the loop's port `Rows`: each change of a slot is written together with why."""

from collections.abc import Callable
from dataclasses import replace

from controller.demand import Claim
from controller.reasons import Reason
from controller.slots import Slot, SlotEvent
from controller.store.event_rows import Record
from controller.store.locks import SlotLock
from controller.store.store import Store


class Table:
    """Satisfies `Rows`. Every method raises StoreDown if PostgreSQL does not answer. `wall` returns unix seconds."""

    def __init__(self, store: Store, wall: Callable[[], float]) -> None:
        self._store, self._wall = store, wall

    def lead(self) -> bool:
        """Return whether this process decides."""
        return self._store.lead()

    def fleets_with_slots(self) -> tuple[str, ...]:
        """Return the fleets of which something may be rented."""
        return self._store.fleets_with_slots()

    def slots(self, fleet: str) -> tuple[Slot, ...]:
        """Return the rows of a fleet."""
        return self._store.slots(fleet)

    def write(
        self, fleet: str, was: Slot, now: Slot, event: SlotEvent | None = None, reasons: tuple[Reason, ...] = ()
    ) -> bool:
        """Write a row, and in the same transaction the event and its reasons; False if another writer was faster."""
        because = [] if event is None else [self._record(fleet, now.index, event.value, reasons)]
        return self._store.write(fleet, was, now, because)

    def set_endpoint(self, fleet: str, index: int, endpoint: str) -> None:
        """Keep where a slot answers."""
        self._store.set_endpoint(fleet, index, endpoint)

    def claims(self) -> tuple[Claim, ...]:
        """Return the claims that no client has ended."""
        return self._store.claims()

    def slot_lock(self, fleet: str, index: int) -> SlotLock:
        """Hold a slot's lock."""
        return self._store.slot_lock(fleet, index)

    def note(self, fleet: str, index: int | None, event: str, reasons: tuple[Reason, ...], text: str = "") -> None:
        """Append a decision or an observation that changes no row. `text` adds a sentence."""
        made = self._record(fleet, index, event, reasons)
        self._store.record([replace(made, reasons=({"says": text},)) if text else made])

    def _record(self, fleet: str, index: int | None, event: str, reasons: tuple[Reason, ...]) -> Record:
        return Record(self._wall(), fleet, index, event, tuple(reason.record() for reason in reasons))
