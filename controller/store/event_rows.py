"""What happened: decisions and steps of slots, in the order of their commits; and the audit of calls."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from controller.store.connections import Connection
from controller.store.lock_keys import EVENTS
from controller.store.storable import json_value, text

MOST = 500  # events of one answer


@dataclass(frozen=True)
class Record:
    """What happened at a moment (unix seconds) to a fleet, or to one of its slots. `reasons` are JSON objects.

    `claim` is the one that the slot served; if it is None, that of the slot's row is taken.
    """

    at: float
    fleet: str
    index: int | None
    event: str
    reasons: tuple[Mapping[str, Any], ...] = ()
    claim: str | None = None


@dataclass(frozen=True)
class StoredEvent:
    """A record with its number. A later commit has a larger one."""

    id: int
    record: Record


@dataclass(frozen=True)
class Call:
    """One call of the API. `client` is a name of stack config; nothing here is a key. `path` is the route's template."""

    at: float
    client: str
    method: str
    path: str
    status: int
    claim: str | None = None


def record(connection: Connection, records: Iterable[Record]) -> None:
    """Append records. One transaction at a time does so: else a reader could pass a number that is not committed yet."""
    connection.execute("select pg_advisory_xact_lock(%s)", (EVENTS,))
    query = """
        insert into gpu_fleet.events (at, fleet, index, event, reasons, claim) values
        (%(at)s, %(fleet)s, %(index)s, %(event)s, %(reasons)s,
         coalesce(%(claim)s, (select claim from gpu_fleet.slots where fleet = %(fleet)s and index = %(index)s)))
    """
    for one in records:
        reasons = Jsonb(json_value(one.reasons))
        connection.execute(query, {**vars(one), "event": text(one.event), "reasons": reasons})


def after(connection: Connection, id_: int, fleet: str | None, most: int = MOST) -> tuple[StoredEvent, ...]:
    """Return the events behind a number, of one fleet or of all, the oldest first, so many at most."""
    query = """
        select id, at, fleet, index, event, reasons, claim from gpu_fleet.events
        where id > %(id)s and (%(fleet)s::text is null or fleet = %(fleet)s) order by id limit %(most)s
    """
    rows = connection.execute(query, {"id": id_, "fleet": fleet, "most": most}).fetchall()
    return tuple(_event(row) for row in rows)


def of_claim(connection: Connection, claim: str, id_: int = 0, most: int = MOST) -> tuple[StoredEvent, ...]:
    """Return the newest events behind a number of the slots that served a claim, the oldest first."""
    query = """
        select id, at, fleet, index, event, reasons, claim from gpu_fleet.events
        where claim = %s and id > %s order by id desc limit %s
    """
    rows = connection.execute(query, (claim, id_, most)).fetchall()
    return tuple(_event(row) for row in reversed(rows))


def last_decision(connection: Connection, fleet: str) -> StoredEvent | None:
    """Return the newest event of a fleet as a whole."""
    query = """
        select id, at, fleet, index, event, reasons, claim from gpu_fleet.events
        where fleet = %s and index is null order by id desc limit 1
    """
    row = connection.execute(query, (fleet,)).fetchone()
    return _event(row) if row else None


def last_id(connection: Connection) -> int:
    """Return the number of the newest event, 0 without one."""
    row = connection.execute("select coalesce(max(id), 0) from gpu_fleet.events").fetchone()
    return int(row[0]) if row else 0


def audit(connection: Connection, call: Call) -> None:
    """Append a call to the audit."""
    query = """
        insert into gpu_fleet.audit (at, client, method, path, status, claim) values (%s, %s, %s, %s, %s, %s)
    """
    connection.execute(query, (call.at, call.client, call.method, call.path, call.status, call.claim))


def calls(connection: Connection, last: int) -> tuple[Call, ...]:
    """Return the last calls, newest first."""
    query = "select at, client, method, path, status, claim from gpu_fleet.audit order by id desc limit %s"
    return tuple(Call(*row) for row in connection.execute(query, (last,)).fetchall())


def prune(connection: Connection, before: float) -> None:
    """Forget events, calls, boots and claims that were over before a moment."""
    connection.execute("delete from gpu_fleet.events where at < %s", (before,))
    connection.execute("delete from gpu_fleet.audit where at < %s", (before,))
    connection.execute("delete from gpu_fleet.claims where least(ended_at, expires_at) < %s", (before,))


def _event(row: tuple[Any, ...]) -> StoredEvent:
    id_, at, fleet, index, event, reasons, claim = row
    return StoredEvent(id_, Record(at, fleet, index, event, tuple(reasons), claim))
