"""The emulated market's own books behind the rules of renting, without HTTP and in virtual time: an hour takes none.

market = VirtualMarket(FakeClock(), machines)     # satisfies providers.vast.renting.rent.Market
"""

from typing import Any

from providers.vast.api import errors
from providers.vast.api.instance import Instance
from providers.vast.api.offer import Offer
from providers.vast.api.offer_claims import Unclaimed
from providers.vast.api.responses import Account, PriceIncrease
from sandbox.faults import Faults
from sandbox.hosts.spec import NoHosts
from sandbox.market import filters, instances
from sandbox.market.api_errors import ApiError
from sandbox.market.clock import MarketClock
from sandbox.market.contracts import Request
from sandbox.market.machines import Machine
from sandbox.market.market import Market
from tests.doubles.clock import FakeClock


class VirtualMarket(Unclaimed):
    """One market whose time is the clock's. Every call lets first happen what is due."""

    def __init__(self, clock: FakeClock, machines: list[Machine]) -> None:
        self.clock = clock
        real = MarketClock(1.0, start=clock.start, real=clock.monotonic)
        self.books = Market(real, machines, NoHosts(), Faults(), spawn=lambda work: work(), ids_from=1)

    def verify_key(self) -> None:
        """Every key is known."""

    def account(self) -> Account:
        return Account(id=4711)

    def search(self, query: dict[str, Any]) -> list[Offer]:
        storage = float(query["allocated_storage"])
        return [Offer.model_validate(row) for row in filters.search(self.books.listed(storage), query)]

    def forget_search(self, query: dict[str, Any]) -> None:
        """Nothing is remembered."""

    def rent(self, offer_id: int, body: dict[str, Any]) -> int:
        try:
            return self.books.rent(offer_id, Request.model_validate(body)).id
        except ApiError as refused:
            raise errors.OfferGone(offer_id, refused.code) from None

    def show(self, instance_id: int) -> Instance | None:
        return next((one for one in self.instances() if one.id == instance_id), None)

    def few_wait(self, _instance_id: int) -> bool:
        return True

    def instances(self, label: str | None = None, age_seconds: float = 0.0) -> list[Instance]:
        self.books.tick()
        rows = [instances.row(one, self.books.clock) for one in self.books.visible() if label in {None, one.label}]
        return [Instance.model_validate(row) for row in rows]

    def start(self, instance_id: int) -> None:
        self.books.start(instance_id)

    def destroy(self, instance_id: int) -> None:
        try:
            self.books.destroy(instance_id)
        except ApiError:
            return

    def price_increases(self) -> list[PriceIncrease]:
        return []

    def log(self, instance_id: int, lines: int = 1000) -> str:
        host = self.books.get(instance_id).host
        return host.log() if host else ""

    def last_log(self, instance_id: int, daemon: bool, _seconds: float) -> str:
        return "" if daemon else self.log(instance_id)
