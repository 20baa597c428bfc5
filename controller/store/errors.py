"""The errors that a caller of the store acts upon."""

from collections.abc import Mapping


class StoreDown(Exception):
    """PostgreSQL does not answer, or does not write now. The request has had no effect, or its effect is unknown.

    So the controller makes nothing smaller on the strength of earlier reads. The message names no address and no password.
    """


class StoreRefused(Exception):
    """The database is not for this controller: it is of a newer version, was edited, or belongs to another stack."""


class KeyReused(Exception):
    """An idempotency key came again with another request. `first` is the earlier request, `claim` is its claim."""

    def __init__(self, key: str, claim: str, first: Mapping[str, object]) -> None:
        super().__init__(f"the key {key!r} belongs to claim {claim}")
        self.key, self.claim, self.first = key, claim, first
