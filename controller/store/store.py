"""The store of one controller process."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from controller.demand import Claim
from controller.slots import Slot
from controller.store import claim_rows, claim_view, event_rows, slot_rows
from controller.store.claim_rows import Allowed, KeptClaim
from controller.store.claim_view import ClaimView
from controller.store.connections import Connections
from controller.store.errors import StoreRefused
from controller.store.event_rows import Call, Record, StoredEvent
from controller.store.lock_keys import LEADER, slot_key
from controller.store.locks import SessionLock, SlotLock
from controller.store.migrate import migrate, migrations
from controller.store.watch import Watch


class Store:
    """Slots, claims, events, audit and locks in the database that `dsn` names. Safe for several threads.

    Every method raises StoreDown if PostgreSQL does not answer.
    """

    def __init__(self, dsn: str) -> None:
        self._connections = Connections(dsn)
        self._lead: SessionLock | None = None
        self._leading = threading.Lock()

    def open(self, stack: str | None = None) -> tuple[str, ...]:
        """Bring the tables to this version, and return the migrations that it took. Opening again goes on where it failed.

        `stack` names the stack whose controllers share the database; another stack's are refused. Raises StoreRefused, also
        for a DSN that cannot be read.
        """
        self._connections.open()
        applied = migrate(self._connections, migrations())
        if stack is not None:
            self._belong(stack)
        return applied

    def close(self) -> None:
        """Give up the lead, and close all connections but those of slots' locks."""
        with self._leading:
            if self._lead is not None:
                self._lead.release()
            self._lead = None
        self._connections.close()

    def ping(self) -> None:
        """Return if PostgreSQL answers."""
        with self._connections.transaction() as connection:
            connection.execute("select 1")

    # -- slots

    def slots(self, fleet: str) -> tuple[Slot, ...]:
        """Return a fleet's rows by index, absent ones included."""
        with self._connections.transaction() as connection:
            return slot_rows.read(connection, fleet)

    def fleets_with_slots(self) -> tuple[str, ...]:
        """Return the fleets of which a slot may have something rented, those included that config no longer has."""
        with self._connections.transaction() as connection:
            return slot_rows.fleets(connection)

    def write(self, fleet: str, was: Slot, now: Slot, because: Iterable[Record] = ()) -> bool:
        """Write a row and, in the same transaction, why, unless another writer has changed it since it was read as `was`.

        Return False, with nothing written, if one has. A row that is not there has version 0. A record without a claim
        gets that of `was`, or else of `now`: a slot that fails loses its claim.
        """
        because = tuple(replace(one, claim=one.claim or was.claim or now.claim) for one in because)
        with self._connections.transaction() as connection:
            if not slot_rows.write(connection, fleet, was, now):
                return False
            if because:
                event_rows.record(connection, because)
            return True

    def set_endpoint(self, fleet: str, index: int, endpoint: str) -> None:
        """Keep where a slot's instance answers; forgotten once the slot is absent."""
        with self._connections.transaction() as connection:
            slot_rows.set_endpoint(connection, fleet, index, endpoint)

    # -- claims

    def claims(self, owner: str | None = None) -> tuple[Claim, ...]:
        """Return the claims that no client has ended, of one client or of all, expired ones included."""
        with self._connections.transaction() as connection:
            return claim_rows.standing(connection, owner)

    def claim(self, id_: str) -> KeptClaim | None:
        """Return a claim, also one that is over."""
        with self._connections.transaction() as connection:
            return claim_rows.find(connection, id_)

    def view(self, id_: str) -> ClaimView | None:
        """Return a claim with everything that concerns it, as of one moment; None if it was never made."""
        with self._connections.transaction() as connection:
            return claim_view.view(connection, id_)

    def views(self, owner: str | None, wall: float) -> tuple[ClaimView, ...]:
        """Return the live claims of one client, or of all, each with everything that concerns it."""
        with self._connections.transaction() as connection:
            live = [one.id for one in claim_rows.standing(connection, owner) if one.expires_at > wall]
            return tuple(found for id_ in live if (found := claim_view.view(connection, id_)))

    def claim_of_key(self, owner: str, key: str) -> KeptClaim | None:
        """Return the claim that a client made with this idempotency key."""
        with self._connections.transaction() as connection:
            return claim_rows.of_key(connection, owner, key)

    def add_claim(
        self,
        claim: Claim,
        created_at: float,
        request: Mapping[str, Any],
        idempotency_key: str | None = None,
        allowed: Allowed = lambda _claims: None,
    ) -> KeptClaim:
        """Add a claim; with an idempotency key, of all callers of one client one adds it and all get it.

        `allowed` sees the client's claims in the same transaction and raises what refuses another one. Raises KeyReused for
        the same key with another request.
        """
        with self._connections.transaction() as connection:
            return claim_rows.add(connection, claim, created_at, request, idempotency_key, allowed)

    def renew_claim(self, id_: str, now: float, expires_at: float) -> KeptClaim | None:
        """Move a claim's expiry, never to an earlier moment. None if it is over or was never made."""
        with self._connections.transaction() as connection:
            return claim_rows.renew(connection, id_, now, expires_at)

    def end_claim(self, id_: str, now: float) -> KeptClaim | None:
        """End a claim. Ending twice is harmless. None if it was never made."""
        with self._connections.transaction() as connection:
            return claim_rows.end(connection, id_, now)

    # -- events and audit

    def record(self, records: Iterable[Record]) -> None:
        """Append what happened or was decided."""
        with self._connections.transaction() as connection:
            event_rows.record(connection, records)

    def events_after(self, id_: int, fleet: str | None = None) -> tuple[StoredEvent, ...]:
        """Return events behind a number, the oldest first, 500 at most. None is skipped by one that commits late."""
        with self._connections.transaction() as connection:
            return event_rows.after(connection, id_, fleet)

    def events_of(self, claim: str, after: int = 0) -> tuple[StoredEvent, ...]:
        """Return the events behind a number of the slots that served a claim, the oldest first, the newest 500."""
        with self._connections.transaction() as connection:
            return event_rows.of_claim(connection, claim, after)

    def audit(self, call: Call) -> None:
        """Append a call of the API."""
        with self._connections.transaction() as connection:
            event_rows.audit(connection, call)

    def calls(self, last: int = 100) -> tuple[Call, ...]:
        """Return the last calls of the API, newest first."""
        with self._connections.transaction() as connection:
            return event_rows.calls(connection, last)

    def prune(self, before: float) -> None:
        """Forget events, calls and claims that were over before a moment (unix seconds). Their keys are free again."""
        with self._connections.transaction() as connection:
            event_rows.prune(connection, before)

    def watch(self) -> Watch:
        """Return a watch on changes, on a connection of its own; one thread uses it."""
        return Watch(self._connections.single)

    # -- locks

    def lead(self) -> bool:
        """Take the lead among the controllers of this database, or say whether this one still has it.

        The call that notices a lost lead returns False, so that the caller forgets its earlier looks; the next one may
        take it again.
        """
        with self._leading:
            if self._lead is not None:
                if self._lead.held():
                    return True
                self._lead = None
                return False
            lock = SessionLock(self._connections.single, LEADER)
            if lock.take():
                self._lead = lock
            return self._lead is not None

    def slot_lock(self, fleet: str, index: int) -> SlotLock:
        """Return a context manager that holds the lock of a slot's process. It yields False if another one has it."""
        return SlotLock(SessionLock(self._connections.single, slot_key(fleet, index)))

    def _belong(self, stack: str) -> None:
        with self._connections.transaction() as connection:
            connection.execute("insert into gpu_fleet.owner (stack) values (%s) on conflict do nothing", (stack,))
            row = connection.execute("select stack from gpu_fleet.owner").fetchone()
        if row is None or row[0] != stack:
            raise StoreRefused(
                f"The database belongs to the controllers of {row and row[0]}, and this one is of {stack}. Give it a "
                "database of its own; or, if the other stack is gone for good: psql DSN -c 'drop schema gpu_fleet cascade'"
            )
