"""Whose account a key is of. A list that lacks an instance says that it is gone only if the key is of its account.

A valid key of another account sees none of our instances, and none that it is asked to end. What a look does find needs no
account: the market shows an instance to nobody else. So a look that finds it teaches the account to a state that knows none,
or another one.
"""

from collections.abc import Callable
from typing import Protocol

from providers.vast.api import errors
from providers.vast.api.responses import Account


class Accounts(Protocol):
    """What this needs of the market; `client.VastClient` is one."""

    def account(self) -> Account:
        """Return whose account the key is of. Raises CredentialsRefused where the key may not read that."""


def confirm(market: Accounts, known: int | None, what: str) -> None:
    """Return if the key is of the account that state knows, or if state knows none, as one of an older version.

    `what` begins the message. Raises OtherAccount, and AccountUnknown where that cannot be read.
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
        raise errors.OtherAccount(what, known, found.told)


def learned(market: Accounts, known: int | None, sees: Callable[[], bool]) -> int | None:
    """Return what state should say: the account of the key if it is another and sees what is ours, else what state knows.

    A market that does not answer changes nothing.
    """
    try:
        found = market.account().id
        return found if found is not None and found != known and sees() else known
    except errors.VastError:
        return known


def number(value: object) -> int | None:
    """Read an account's id out of state, where numbers are floats; None where it is absent."""
    return int(value) if isinstance(value, int | float) and value else None
