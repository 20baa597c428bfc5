"""Check which account the market key belongs to.

A valid key of another account cannot see or end our instances. So an instance missing from the list is gone only if the
key belongs to the instance's account.

A successful look needs no such check, because the market shows an instance to its own account only. So a key that sees
our instance proves the account. State without an account, or with another one, then takes over the key's account.
"""

from collections.abc import Callable
from typing import Protocol

from providers.vast.api import errors
from providers.vast.api.responses import Account


class Accounts(Protocol):
    """The market call that this module needs. `client.VastClient` implements it."""

    def account(self) -> Account:
        """Return the key's account. Raises CredentialsRefused if the key may not read it."""


def confirm(market: Accounts, known: int | None, what: str) -> None:
    """Return if the key belongs to the account in state. State of an older version has no account and always passes.

    `what` begins the message. Raises OtherAccount if the key belongs to another account. Raises AccountUnknown if the
    account cannot be read.
    """
    if known is None:
        return
    try:
        found = market.account()
    except errors.VastError as error:
        raise errors.AccountUnknown(what, known, str(error)) from error
    if found.id is None:
        raise errors.AccountUnknown(what, known, "the market's answer has no account's id")
    if found.id != known:
        raise errors.OtherAccount(what, known, found.description)


def learned(market: Accounts, known: int | None, sees: Callable[[], bool]) -> int | None:
    """Return the account that state should record.

    That is the key's account if it differs from state and `sees()` finds our instances with it. Otherwise it is the
    account already in state. An error from the market changes nothing.
    """
    try:
        found = market.account().id
        return found if found is not None and found != known and sees() else known
    except errors.VastError:
        return known


def number(value: object) -> int | None:
    """Read an account id from state, which stores numbers as floats. Return None if it is absent."""
    return int(value) if isinstance(value, int | float) and value else None
