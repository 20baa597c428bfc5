"""API keys with scopes. Each key opens the routes of its scopes, for its own account alone."""

import itertools
import secrets
import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sandbox.market.protocol.api_errors import ApiError, invalid, unemulated

SCOPES = ("misc", "instance_read", "instance_write", "user_read", "user_write", "billing_read")
# The live market also has these scopes; the sandbox does not emulate their routes.
UNEMULATED_SCOPES = ("billing_write", "machine_read", "machine_write", "team_read", "team_write")


class ScopeUnknown(Exception):
    """A scope that does not exist. The message names those that do."""


@dataclass(frozen=True)
class Key:
    """One API key. `account` is its account's number; clients send `secret` in the Authorization header."""

    id: int
    name: str
    scopes: frozenset[str]
    account: int
    secret: str = field(repr=False)

    def public_row(self) -> dict[str, Any]:
        """Return the key as the market lists it, without its secret."""
        rights: dict[str, Any] = {"api": {scope: {} for scope in sorted(self.scopes)}}
        return {"id": self.id, "name": self.name, "user_id": self.account, "rights": rights}


class Keys:
    """The keys that all accounts have made; the first key of an account is not among them. Thread-safe."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._keys: dict[int, Key] = {}

    def make(self, name: str, scopes: Collection[str], account: int) -> Key:
        """Make a key of an account. Raises ScopeUnknown."""
        wrong = sorted(set(scopes) - {*SCOPES, *UNEMULATED_SCOPES})
        if wrong or not scopes:
            raise ScopeUnknown(f"there is no scope {wrong[0] if wrong else ''!r}; there are {', '.join(SCOPES)}")
        with self._lock:
            key = Key(next(self._numbers), name, frozenset(scopes), account, secrets.token_hex(32))
            self._keys[key.id] = key
        return key

    def all(self, account: int | None = None) -> list[Key]:
        """Return every key, or those of an account, the oldest first."""
        with self._lock:
            return [key for key in self._keys.values() if account in {None, key.account}]

    def get(self, number: int, account: int) -> Key:
        """Return a key of an account. Raises ApiError."""
        found = next((key for key in self.all(account) if key.id == number), None)
        if found is None:
            raise ApiError(404, "no_such_key", f"There is no API key {number}.")
        return found

    def remove(self, number: int, account: int) -> None:
        """Remove a key of an account: it opens nothing from now on. Raises ApiError."""
        self.get(number, account)
        with self._lock:
            self._keys.pop(number, None)

    def find(self, secret: str) -> Key | None:
        """Return the key with this secret, or None."""
        return next((key for key in self.all() if secrets.compare_digest(key.secret, secret)), None)


def read_scopes(permissions: object) -> list[str]:
    """Return the scopes in `{"api": {"misc": {}, ...}}`. Raises ApiError."""
    api = permissions.get("api") if isinstance(permissions, dict) else None
    if not isinstance(api, dict):
        raise invalid('permissions: expected {"api": {"<scope>": {}, ...}}', "invalid_args")
    for scope, constraints in api.items():
        if constraints:
            raise unemulated(f"constraints of a key's scope ({scope})")
    return [str(scope) for scope in api]
