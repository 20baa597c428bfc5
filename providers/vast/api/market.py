"""The market as the rules see it: what renting, waiting and giving back ask of it."""

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
    """What renting needs of the market; `client.VastClient` is one."""

    def verify_key(self) -> None:
        """Raise CredentialsRefused where the market does not know the key."""

    def search(self, query: dict[str, Any]) -> list[Offer]:
        """Return offers for a query."""

    def forget_search(self, query: dict[str, Any]) -> None:
        """Have a query asked anew."""

    def claim(self, label: str, choose: Choose) -> AbstractContextManager[Offer]:
        """Give the offer that is chosen, knowing which others are about to rent; nobody else does while the block lasts."""

    def rent(self, offer_id: int, body: dict[str, Any]) -> int:
        """Rent and return the instance's id."""

    def show(self, instance_id: int) -> Instance | None:
        """Return one instance, None where there is none."""

    def few_wait(self, instance_id: int) -> bool:
        """Note that we wait for an instance; say whether to look at it by itself, and not at the list that many share."""

    def instances(self, label: str | None = None, age_seconds: float = 0.0) -> list[Instance]:
        """Return instances, by label or all; what others saw up to `age_seconds` ago will do."""

    def destroy(self, instance_id: int) -> None:
        """Ask for the end of an instance."""

    def start(self, instance_id: int) -> None:
        """Ask for the start of an instance that is stopped."""

    def price_increases(self) -> Sequence[PriceIncrease]:
        """Return the price increases that landlords have announced for contracts of the account."""

    def log(self, instance_id: int, lines: int = 1000) -> str:
        """Return an instance's log."""

    def last_log(self, instance_id: int, daemon: bool, seconds: float) -> str:
        """Return the end of an instance's log, or of its landlord's daemon's, asked for once and within some seconds."""
