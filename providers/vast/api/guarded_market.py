"""A market behind the breaker: every rent asks it first, and what is rented and ended is written into its book."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from providers.engine_watch import RentingClock
from providers.vast.api import label
from providers.vast.api.breaker import Breaker
from providers.vast.api.errors import OutcomeUnknown
from providers.vast.api.instance import Instance
from providers.vast.api.market import Market
from providers.vast.api.offer import Offer
from providers.vast.api.offer_claims import Choose, Claims
from providers.vast.api.responses import Account, PriceIncrease

LOOKS = 3  # a list that lied once is put right by the next ones


class GuardedMarket:
    """Satisfies `Market` by another one, whose lists the breaker is told of by the client. `look_seconds`: between lists
    that may show again what vanished. Raises BreakerOpen from `rent`, besides what the other one raises.
    """

    def __init__(
        self,
        market: Market,
        breaker: Breaker,
        clock: RentingClock,
        look_seconds: float,
        claims: Claims | None = None,
    ) -> None:
        self._claims = claims
        self._market, self._breaker, self._clock, self._look_seconds = market, breaker, clock, look_seconds

    def rent(self, offer_id: int, body: dict[str, Any]) -> int:
        """Rent, unless the breaker is open."""
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
        with suppress(OSError):  # a full disk: what is rented is ours all the same, and the next rent is refused by it
            self._breaker.rented(self._clock.monotonic(), instance_id)

    def destroy(self, instance_id: int) -> None:
        """Ask for the end of an instance, whose absence is no surprise from now on."""
        with suppress(OSError):  # giving back hangs on no book
            self._breaker.destroyed(instance_id, self._clock.monotonic())
        self._market.destroy(instance_id)

    def claim(self, label: str, choose: Choose) -> AbstractContextManager[Offer]:
        """Give the offer that is chosen, claimed before all who use the account on this computer."""
        return self._claims.take(label, choose, self._clock) if self._claims else nullcontext(choose({}))

    def start(self, instance_id: int) -> None:
        """Ask for the start of an instance that is stopped."""
        self._market.start(instance_id)

    def verify_key(self) -> None:
        """Raise CredentialsRefused where the market does not know the key."""
        self._market.verify_key()

    def account(self) -> Account:
        """Return whose account the key is of."""
        return self._market.account()

    def search(self, query: dict[str, Any]) -> list[Offer]:
        """Return offers for a query."""
        return self._market.search(query)

    def forget_search(self, query: dict[str, Any]) -> None:
        """Have a query asked anew."""
        self._market.forget_search(query)

    def show(self, instance_id: int) -> Instance | None:
        """Return one instance, None where there is none."""
        return self._market.show(instance_id)

    def few_wait(self, instance_id: int) -> bool:
        """Say whether to look at an instance by itself."""
        return self._market.few_wait(instance_id)

    def instances(self, label: str | None = None, age_seconds: float = 0.0) -> list[Instance]:
        """Return instances, by label or all."""
        return self._market.instances(label, age_seconds)

    def price_increases(self) -> Sequence[PriceIncrease]:
        """Return the price increases that landlords have announced for contracts of the account."""
        return self._market.price_increases()

    def last_log(self, instance_id: int, daemon: bool, seconds: float) -> str:
        """Return the end of a log, asked for once."""
        return self._market.last_log(instance_id, daemon, seconds)

    def attach_key(self, instance_id: int, public_key: str) -> None:
        """Have an instance let a public key in."""
        self._market.attach_key(instance_id, public_key)

    def detach_key(self, instance_id: int, public_key: str) -> None:
        """Have an instance let a public key in no more."""
        self._market.detach_key(instance_id, public_key)

    def log(self, instance_id: int, lines: int = 1000) -> str:
        """Return an instance's log."""
        return self._market.log(instance_id, lines)
