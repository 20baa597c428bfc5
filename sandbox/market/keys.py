"""API keys with scopes, as accounts make them: each opens the routes of its scopes, for its own account, and no other."""

import itertools
import secrets
import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sandbox.market.protocol.api_errors import ApiError, invalid, unemulated

SCOPES = ("misc", "instance_read", "instance_write", "user_read", "user_write", "billing_read")
# Categories that the live market has besides, whose routes are not emulated.
OTHERS = ("billing_write", "machine_read", "machine_write", "team_read", "team_write")


class ScopeUnknown(Exception):
    """A scope that no key can have; the message names those that exist."""


@dataclass(frozen=True)
class Key:
    """One API key. `account` is the number of whose it is; `secret` is what travels in the Authorization header."""

    id: int
    name: str
    scopes: frozenset[str]
    account: int
    secret: str = field(repr=False)

    def shown(self) -> dict[str, Any]:
        """Return what the market shows of it later, which is not its secret."""
        rights: dict[str, Any] = {"api": {scope: {} for scope in sorted(self.scopes)}}
        return {"id": self.id, "name": self.name, "user_id": self.account, "rights": rights}


class Keys:
    """The keys of all accounts, without the first one. Thread-safe."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._keys: dict[int, Key] = {}

    def make(self, name: str, scopes: Collection[str], account: int) -> Key:
        """Make a key of an account. Raises ScopeUnknown."""
        wrong = sorted(set(scopes) - {*SCOPES, *OTHERS})
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
        """Return a key of an account. Raises Refused."""
        found = next((key for key in self.all(account) if key.id == number), None)
        if found is None:
            raise ApiError(404, "no_such_key", f"There is no API key {number}.")
        return found

    def remove(self, number: int, account: int) -> None:
        """Forget a key of an account, which opens nothing from now on. Raises Refused."""
        self.get(number, account)
        with self._lock:
            self._keys.pop(number, None)

    def known(self, secret: str) -> Key | None:
        """Return a key by its secret; None where it is not known."""
        return next((key for key in self.all() if secrets.compare_digest(key.secret, secret)), None)


def wanted(permissions: object) -> list[str]:
    """Read `{"api": {"misc": {}, ...}}`. Raises Refused."""
    api = permissions.get("api") if isinstance(permissions, dict) else None
    if not isinstance(api, dict):
        raise invalid('permissions: expected {"api": {"<scope>": {}, ...}}', "invalid_args")
    for scope, constraints in api.items():
        if constraints:
            raise unemulated(f"constraints of a key's scope ({scope})")
    return [str(scope) for scope in api]
