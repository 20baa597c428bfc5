"""The market's interface for renting, waiting and giving back."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from providers.vast.api.account import Accounts
from providers.vast.api.attached_keys import KeyRing
from providers.vast.api.instance import Instance
from providers.vast.api.offer import Offer
from providers.vast.api.offer_claims import Choose
from providers.vast.api.responses import PriceIncrease


class Market(KeyRing, Accounts, Protocol):
    """The market calls that renting needs. `client.VastClient` implements them."""

    def verify_key(self) -> None:
        """Raise CredentialsRefused if the market rejects the key."""

    def search(self, query: dict[str, Any]) -> list[Offer]:
        """Return the offers for a query."""

    def forget_search(self, query: dict[str, Any]) -> None:
        """Drop the cached answer to a query."""

    def claim(self, label: str, choose: Choose) -> AbstractContextManager[Offer]:
        """Return a context with the offer that `choose` picks, given the claims of others.

        No other process on this computer claims the offer while the block lasts.
        """

    def rent(self, offer_id: int, body: dict[str, Any]) -> int:
        """Rent an offer and return the new instance's id."""

    def show(self, instance_id: int) -> Instance | None:
        """Return one instance, or None if it does not exist."""

    def should_look_by_id(self, instance_id: int) -> bool:
        """Note that we wait for an instance. Return True to look at it by id, False to read the shared list."""

    def instances(self, label: str | None = None, age_seconds: float = 0.0) -> list[Instance]:
        """Return the account's instances, all or with one label. A shared answer up to `age_seconds` old is enough."""

    def destroy(self, instance_id: int) -> None:
        """Ask the market to end an instance."""

    def start(self, instance_id: int) -> None:
        """Ask the market to start a stopped instance."""

    def price_increases(self) -> Sequence[PriceIncrease]:
        """Return the price increases that landlords announced for contracts of the account."""

    def log(self, instance_id: int, lines: int = 1000) -> str:
        """Return an instance's log."""

    def last_log(self, instance_id: int, daemon: bool, seconds: float) -> str:
        """Return the end of an instance's log, or of its landlord's daemon's log; asks once, within `seconds`."""
