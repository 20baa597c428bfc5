"""A market that waits out doubts, because trouble on the way to the market says nothing about a key or a machine.

The client itself repeats a call for half a minute. This layer repeats it until a deadline, because an outage of the
market lasts minutes. A rented machine costs money and may serve meanwhile.
"""

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from bootstrap.services import Progress
from providers.engine_watch import RentingClock
from providers.vast.api.errors import DOUBTS, RateLimited, VastError
from providers.vast.api.instance import Instance
from providers.vast.api.market import Market
from providers.vast.api.offer import Offer
from providers.vast.api.offer_claims import Choose
from providers.vast.api.responses import Account, PriceIncrease
from providers.vast.limits import Limits

Value = TypeVar("Value")
JITTER = 0.5  # of a pause, so that waiting callers do not return all at once


class PatientMarket:
    """Wraps a `Market` and waits out its doubts. `deadline` is in monotonic seconds; `lost_seconds` is time in doubt.

    After the deadline every method raises the doubt. It repeats a rent after a 429 only, which never takes effect.
    """

    def __init__(
        self, market: Market, clock: RentingClock, limits: Limits, deadline: float, report_progress: Progress
    ) -> None:
        self._market, self._clock, self._limits, self._deadline, self._report_progress = (
            market,
            clock,
            limits,
            deadline,
            report_progress,
        )
        self.lost_seconds = 0.0

    def verify_key(self) -> None:
        """Raise CredentialsRefused if the market rejects the key."""
        self._waited_out(self._market.verify_key)

    def account(self) -> Account:
        """Return the key's account."""
        return self._waited_out(self._market.account)

    def search(self, query: dict[str, Any]) -> list[Offer]:
        """Return the offers for a query."""
        return self._waited_out(lambda: self._market.search(query))

    def forget_search(self, query: dict[str, Any]) -> None:
        """Drop the cached answer to a query."""
        self._market.forget_search(query)

    def claim(self, label: str, choose: Choose) -> AbstractContextManager[Offer]:
        """Return a context with the chosen offer."""
        return self._market.claim(label, choose)

    def rent(self, offer_id: int, body: dict[str, Any]) -> int:
        """Rent an offer. If the outcome is unknown, the caller has to settle it."""
        return self._waited_out(lambda: self._market.rent(offer_id, body), (RateLimited,))

    def show(self, instance_id: int) -> Instance | None:
        """Return one instance, or None if it does not exist."""
        return self._waited_out(lambda: self._market.show(instance_id))

    def should_look_by_id(self, instance_id: int) -> bool:
        """Return True to look at an instance by id, False to read the shared list."""
        return self._market.should_look_by_id(instance_id)

    def instances(self, label: str | None = None, age_seconds: float = 0.0) -> list[Instance]:
        """Return the account's instances, all or with one label."""
        return self._waited_out(lambda: self._market.instances(label, age_seconds))

    def destroy(self, instance_id: int) -> None:
        """Ask the market once to end an instance. A caller that gives back asks again and looks."""
        self._market.destroy(instance_id)

    def start(self, instance_id: int) -> None:
        """Ask the market once to start an instance. A caller that waits for it asks again."""
        self._market.start(instance_id)

    def price_increases(self) -> Sequence[PriceIncrease]:
        """Return the price increases that landlords announced for contracts of the account."""
        return self._market.price_increases()

    def last_log(self, instance_id: int, daemon: bool, seconds: float) -> str:
        """Return the end of a log; asks once."""
        return self._market.last_log(instance_id, daemon, seconds)

    def attach_key(self, instance_id: int, public_key: str) -> None:
        """Add a public key to an instance; asks once, because the start script adds the key, too."""
        self._market.attach_key(instance_id, public_key)

    def detach_key(self, instance_id: int, public_key: str) -> None:
        """Remove a public key from an instance; asks once."""
        self._market.detach_key(instance_id, public_key)

    def log(self, instance_id: int, lines: int = 1000) -> str:
        """Return an instance's log."""
        return self._waited_out(lambda: self._market.log(instance_id, lines))

    def _waited_out(self, ask: Callable[[], Value], doubts: tuple[type[VastError], ...] = DOUBTS) -> Value:
        began, is_reported = self._clock.monotonic(), False
        while True:
            try:
                answer = ask()
            except doubts as doubt:
                pause = self._pause(doubt)
                if self._clock.monotonic() + pause >= self._deadline:
                    raise
                if not is_reported:
                    minutes = (self._deadline - self._clock.monotonic()) / 60
                    self._report_progress(
                        "market", f"{doubt}; asking again for {minutes:.0f} min at most, nothing is given back"
                    )
                    is_reported = True
                self._clock.sleep(pause)
            else:
                self.lost_seconds += self._clock.monotonic() - began if is_reported else 0.0
                return answer

    def _pause(self, doubt: VastError) -> float:
        hint = doubt.retry_after if isinstance(doubt, RateLimited) else None
        usual = self._limits.look_seconds * random.uniform(1, 1 + JITTER)
        return usual if hint is None else max(usual, hint)
