"""Rows of slots: read, and written by compare and set of their version."""

from collections.abc import Mapping

from controller.slots import Slot, State
from controller.store.connections import Connection

UPDATE = """
    update gpu_fleet.slots set state = %(state)s, version = %(version)s, failures = %(failures)s, failed_at = %(failed_at)s,
        dead = %(dead)s, claim = %(claim)s, usd_per_hour = %(usd_per_hour)s, follows = %(follows)s
    where fleet = %(fleet)s and index = %(index)s and version = %(was)s
"""
INSERT = """
    insert into gpu_fleet.slots (fleet, index, state, version, failures, failed_at, dead, claim, usd_per_hour, follows)
    values (%(fleet)s, %(index)s, %(state)s, %(version)s, %(failures)s, %(failed_at)s, %(dead)s, %(claim)s, %(usd_per_hour)s,
        %(follows)s)
    on conflict do nothing
"""


def read(connection: Connection, fleet: str) -> tuple[Slot, ...]:
    """Return a fleet's rows by index, absent ones included."""
    query = """
        select index, state, version, failures, failed_at, dead, claim, usd_per_hour, follows
        from gpu_fleet.slots where fleet = %s order by index
    """
    rows = connection.execute(query, (fleet,)).fetchall()
    return tuple(Slot(index, State(state), *others) for index, state, *others in rows)


def fleets(connection: Connection) -> tuple[str, ...]:
    """Return the fleets of which a slot may have something rented."""
    rows = connection.execute("select distinct fleet from gpu_fleet.slots where state <> 'absent' order by fleet")
    return tuple(str(fleet) for (fleet,) in rows.fetchall())


def write(connection: Connection, fleet: str, was: Slot, now: Slot) -> bool:
    """Write a row if its version is still that of `was`, or if there is none and `was` is a new one. Say whether it is."""
    if was.index != now.index or now.version <= was.version:
        raise ValueError(f"slot {was.index} (version {was.version}) cannot become {now.index} ({now.version})")
    values = {**vars(now), "state": now.state.value, "fleet": fleet, "was": was.version}
    if connection.execute(UPDATE, values).rowcount:
        return True
    return was.version == 0 and connection.execute(INSERT, values).rowcount == 1


def times(connection: Connection, fleet: str) -> Mapping[int, tuple[str | None, float]]:
    """Return each slot's endpoint, and its seconds in its state, by this server's clock."""
    query = """
        select index, endpoint, greatest(0, extract(epoch from now() - changed_at))::double precision
        from gpu_fleet.slots left join gpu_fleet.endpoints using (fleet, index) where fleet = %s
    """
    return {index: (endpoint, seconds) for index, endpoint, seconds in connection.execute(query, (fleet,)).fetchall()}


def set_endpoint(connection: Connection, fleet: str, index: int, endpoint: str) -> None:
    """Keep where a slot's instance answers, until the slot is absent."""
    query = """
        insert into gpu_fleet.endpoints (fleet, index, endpoint) values (%s, %s, %s)
        on conflict (fleet, index) do update set endpoint = excluded.endpoint
    """
    connection.execute(query, (fleet, index, endpoint))


def boots(connection: Connection, fleet: str, last: int) -> tuple[float, ...]:
    """Return how many seconds the last boots took, newest first."""
    query = "select seconds from gpu_fleet.boots where fleet = %s order by id desc limit %s"
    return tuple(float(seconds) for (seconds,) in connection.execute(query, (fleet, last)).fetchall())
