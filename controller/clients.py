"""Identify the client of a call, and say how much it may still ask for; pure."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from controller.demand import Claim
from controller.offers import Client

DEFAULT_TTL_MINUTES = 60.0


class OverLimit(Exception):
    """A client asks for more than its section of stack config allows. `limit` names the key there."""

    def __init__(self, says: str, limit: str, most: float) -> None:
        super().__init__(says)
        self.says, self.limit, self.most = says, limit, most


def identify(clients: Mapping[str, Client], key: str) -> Client | None:
    """Return the client with this key. Each client is compared, in constant time, whatever came before."""
    found = None
    given = _digest(key)
    for client in clients.values():
        if hmac.compare_digest(_digest(client.key), given) and client.key:
            found = client
    return found


def ttl_minutes(client: Client, asked: float | None) -> float:
    """Return for how many minutes a claim is made. Raises OverLimit."""
    if asked is None:
        return min(DEFAULT_TTL_MINUTES, client.max_ttl_minutes)
    if asked > client.max_ttl_minutes:
        says = f"{asked:g} minutes are more than the {client.max_ttl_minutes:g} that {client.name} may ask for at once."
        raise OverLimit(says, "maxTtlMinutes", client.max_ttl_minutes)
    return asked


def held(claims: Iterable[Claim], wall: float) -> dict[str, int]:
    """Return how many instances live claims ask for, by fleet."""
    counts: dict[str, int] = {}
    for claim in claims:
        if claim.expires_at > wall:
            counts[claim.fleet] = counts.get(claim.fleet, 0) + claim.count
    return counts


def check_count(client: Client, claims: Iterable[Claim], count: int, wall: float) -> None:
    """Raise OverLimit if `count` more instances beside the client's own `claims` are too many."""
    live = [claim for claim in claims if claim.expires_at > wall]
    there = sum(claim.count for claim in live)
    if there + count <= client.max_instances:
        return
    ids = f" ({', '.join(claim.id for claim in live)})" if live else ""
    says = (
        f"{client.name} claims {there} instances{ids} and asks for {count} more; {client.max_instances} are its most."
    )
    raise OverLimit(says, "maxInstances", client.max_instances)


def _digest(key: str) -> bytes:
    """Make keys equally long."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
