"""Rows of claims: added under the client's lock, renewed, ended."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from controller.demand import Claim
from controller.store.connections import Connection
from controller.store.errors import KeyReused
from controller.store.lock_keys import owner_key

Allowed = Callable[[tuple[Claim, ...]], None]


@dataclass(frozen=True)
class KeptClaim:
    """A claim with its request, when a client made it, and when one ended it (unix seconds)."""

    claim: Claim
    created_at: float
    ended_at: float | None
    request: Mapping[str, Any]


def _kept(row: tuple[Any, ...]) -> KeptClaim:
    return KeptClaim(Claim(*row[:5]), *row[5:])


def standing(connection: Connection, owner: str | None = None) -> tuple[Claim, ...]:
    """Return the claims that no client has ended, of one client or of all. The caller leaves out expired ones."""
    query = """
        select id, fleet, count, expires_at, owner from gpu_fleet.claims
        where ended_at is null and (%(owner)s::text is null or owner = %(owner)s) order by expires_at, id
    """
    return tuple(Claim(*row) for row in connection.execute(query, {"owner": owner}).fetchall())


def find(connection: Connection, id_: str) -> KeptClaim | None:
    """Return a claim, also one that has ended."""
    query = """
        select id, fleet, count, expires_at, owner, created_at, ended_at, request
        from gpu_fleet.claims where id = %s
    """
    row = connection.execute(query, (id_,)).fetchone()
    return _kept(row) if row else None


def of_key(connection: Connection, owner: str, key: str) -> KeptClaim | None:
    """Return the claim that a client made with an idempotency key."""
    query = """
        select id, fleet, count, expires_at, owner, created_at, ended_at, request
        from gpu_fleet.claims where owner = %s and idempotency_key = %s
    """
    row = connection.execute(query, (owner, key)).fetchone()
    return _kept(row) if row else None


def add(
    connection: Connection,
    claim: Claim,
    created_at: float,
    request: Mapping[str, Any],
    key: str | None,
    allowed: Allowed,
) -> KeptClaim:
    """Add a claim, or return the one that the same client made with the same key and request.

    `allowed` sees the client's standing claims under the client's lock, and raises what refuses another one. Raises
    KeyReused.
    """
    connection.execute("select pg_advisory_xact_lock(%s)", (owner_key(claim.owner),))
    first = of_key(connection, claim.owner, key) if key is not None else None
    if first is not None:
        if dict(first.request) != dict(request):
            raise KeyReused(str(key), first.claim.id, first.request)
        return first
    allowed(standing(connection, claim.owner))
    insert = """
        insert into gpu_fleet.claims (id, fleet, count, expires_at, owner, created_at, request, idempotency_key)
        values (%s, %s, %s, %s, %s, %s, %s, %s)
        returning id, fleet, count, expires_at, owner, created_at, ended_at, request
    """
    values = (claim.id, claim.fleet, claim.count, claim.expires_at, claim.owner, created_at, Jsonb(dict(request)), key)
    added = connection.execute(insert, values).fetchone()
    assert added is not None
    return _kept(added)


def renew(connection: Connection, id_: str, now: float, expires_at: float) -> KeptClaim | None:
    """Move a claim's expiry, never to an earlier moment. None if there is no such claim, or it is over."""
    query = """
        update gpu_fleet.claims set expires_at = greatest(expires_at, %s)
        where id = %s and ended_at is null and expires_at > %s
        returning id, fleet, count, expires_at, owner, created_at, ended_at, request
    """
    row = connection.execute(query, (expires_at, id_, now)).fetchone()
    return _kept(row) if row else None


def end(connection: Connection, id_: str, now: float) -> KeptClaim | None:
    """End a claim, and return it as it is then. Of several ends the first one counts. None if there is no such claim."""
    query = "update gpu_fleet.claims set ended_at = %s where id = %s and ended_at is null and expires_at > %s"
    connection.execute(query, (now, id_, now))
    return find(connection, id_)
