"""A market behind the breaker. Every rent asks the breaker first, and the breaker records every rent and destroy."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

from providers.engine_watch import RentingClock
from providers.vast.api import label
from providers.vast.api.breaker import Breaker
from providers.vast.api.errors import OutcomeUnknown
from providers.vast.api.instance import Instance
from providers.vast.api.market import Market
from providers.vast.api.offer import Offer
from providers.vast.api.offer_claims import Choose, Claims
from providers.vast.api.responses import Account, Charge, PriceIncrease

LOOKS = 3  # the next lists correct one wrong list


class GuardedMarket:
    """Wraps a `Market` with the breaker. The client passes each list of the account to the breaker.

    `charges` asks for the account's charges between two unix moments; all processes of this computer share
    the account's `folder`. `look_seconds` is the pause between lists that may show vanished instances again. `rent` raises
    BreakerOpen, and all methods raise the wrapped market's errors.
    """

    def __init__(
        self,
        market: Market,
        breaker: Breaker,
        clock: RentingClock,
        look_seconds: float,
        claims: Claims | None = None,
        charges: Callable[[float, float], Sequence[Charge]] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.charges, self.folder = charges, folder
        self._claims = claims
        self._market, self._breaker, self._clock, self._look_seconds = market, breaker, clock, look_seconds

    def rent(self, offer_id: int, body: dict[str, Any]) -> int:
        """Rent an offer unless the breaker is open."""
        mark = label.parse(body.get("label"))
        stack = mark.stack_id if mark else None
        for _look in range(LOOKS):
            if not self._breaker.vanished(stack):
                break
            self._clock.sleep(self._look_seconds)
            self._market.instances()
        self._breaker.verify(self._clock.monotonic(), stack)
        try:
            instance_id = self._market.rent(offer_id, body)
        except OutcomeUnknown:
            self._note_rent()
            raise
        self._note_rent(instance_id)
        return instance_id

    def _note_rent(self, instance_id: int | None = None) -> None:
        with suppress(OSError):  # the disk is full: we keep this instance, and the full disk refuses the next rent
            self._breaker.rented(self._clock.monotonic(), instance_id)

    def destroy(self, instance_id: int) -> None:
        """Ask the market to end an instance. Its absence then does not open the breaker."""
        with suppress(OSError):  # giving back must work without the breaker's file
            self._breaker.destroyed(instance_id, self._clock.monotonic())
        self._market.destroy(instance_id)

    def excuse(self, instance_id: int) -> None:
        """Tell the breaker that an instance ended itself. Its absence then does not open the breaker."""
        with suppress(OSError):
            self._breaker.ended_itself(instance_id, self._clock.monotonic())

    def claim(self, label: str, choose: Choose) -> AbstractContextManager[Offer]:
        """Return a context with the chosen offer, claimed against all processes of this account on this computer."""
        return self._claims.take(label, choose, self._clock) if self._claims else nullcontext(choose({}))

    def start(self, instance_id: int) -> None:
        """Ask the market to start a stopped instance."""
        self._market.start(instance_id)

    def verify_key(self) -> None:
        """Raise CredentialsRefused if the market rejects the key."""
        self._market.verify_key()

    def account(self) -> Account:
        """Return the key's account."""
        return self._market.account()

    def search(self, query: dict[str, Any]) -> list[Offer]:
        """Return the offers for a query."""
        return self._market.search(query)

    def forget_search(self, query: dict[str, Any]) -> None:
        """Drop the cached answer to a query."""
        self._market.forget_search(query)

    def show(self, instance_id: int) -> Instance | None:
        """Return one instance, or None if it does not exist."""
        return self._market.show(instance_id)

    def should_look_by_id(self, instance_id: int) -> bool:
        """Return True to look at an instance by id, False to read the shared list."""
        return self._market.should_look_by_id(instance_id)

    def instances(self, label: str | None = None, age_seconds: float = 0.0) -> list[Instance]:
        """Return the account's instances, all or with one label."""
        return self._market.instances(label, age_seconds)

    def price_increases(self) -> Sequence[PriceIncrease]:
        """Return the price increases that landlords announced for contracts of the account."""
        return self._market.price_increases()

    def last_log(self, instance_id: int, daemon: bool, seconds: float) -> str:
        """Return the end of a log; asks once."""
        return self._market.last_log(instance_id, daemon, seconds)

    def attach_key(self, instance_id: int, public_key: str) -> None:
        """Add a public key to an instance."""
        self._market.attach_key(instance_id, public_key)

    def detach_key(self, instance_id: int, public_key: str) -> None:
        """Remove a public key from an instance."""
        self._market.detach_key(instance_id, public_key)

    def log(self, instance_id: int, lines: int = 1000) -> str:
        """Return an instance's log."""
        return self._market.log(instance_id, lines)
