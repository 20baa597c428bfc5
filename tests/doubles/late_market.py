"""A market and a bucket's object in memory for `budget_history`: answers come late, and some get lost."""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from providers.store.errors import StoreUnreachable
from providers.vast.api import errors
from providers.vast.api.instance import Instance
from providers.vast.api.offer import Offer
from providers.vast.search import prices
from providers.vast.search.requirements import Requirements
from tests.doubles.machines import offer
from tests.doubles.two_creators import CreatorClock
from tests.doubles.virtual_time import VirtualTime

HOUR = 3600.0
REQUIREMENTS = Requirements(("RTX 4090",), 1, max_usd_per_hour=9.0, disk_gb=20, weights_gb=10, image_gb=8)


@dataclass
class Contract:
    """One rented instance. `traffic` is $ that it has paid for downloads."""

    id: int
    offer: Offer
    label: str
    born: float
    boots_at: float
    shown_from: float
    traffic: float
    ended: float = float("inf")
    shown_until: float = float("inf")

    def usd(self, until: float) -> float:
        """What the market bills until a moment."""
        end = min(until, self.ended)
        runs = max(0.0, end - self.boots_at) * prices.charged_usd_per_hour(self.offer, REQUIREMENTS)
        loads = (min(end, self.boots_at) - self.born) * prices.disk_usd_per_hour(self.offer, REQUIREMENTS)
        return (runs + loads) / HOUR + self.traffic

    def row(self) -> Instance:
        price = round(prices.charged_usd_per_hour(self.offer, REQUIREMENTS), 6)
        return Instance(
            id=self.id, label=self.label, dph_total=price, start_date=self.born, machine_id=self.offer.machine_id
        )


class LateMarket:
    """The calls of the market that renting makes, by a seed. Reads lag by up to 85 s, in both directions."""

    def __init__(self, time: VirtualTime, chance: random.Random) -> None:
        self.time, self.chance = time, chance
        self.contracts: dict[int, Contract] = {}
        self._ids, self._offers = itertools.count(501), itertools.count(1)

    def any_offer(self) -> Offer:
        usd = self.chance.uniform(0.2, 0.6)
        return offer(next(self._offers), dph_base=usd, inet_down_cost=self.chance.choice((0.0, 0.002, 0.02)))

    def rent(self, found: Offer, label: str) -> int:
        self.time.sleep(self.chance.uniform(0.2, 4))
        if self.chance.random() < 0.1:
            raise errors.OfferGone(found.id, "taken")
        now = self.time.time()
        number = next(self._ids)
        late = self.chance.choice((0, 0, 20, 85))
        image = prices.image_usd(found, REQUIREMENTS)
        boots_at = now + self.chance.uniform(10, 400)
        self.contracts[number] = Contract(number, found, label, now, boots_at, now + late, image)
        self.time.sleep(self.chance.uniform(0, 3))
        if self.chance.random() < 0.1:
            self.time.sleep(self.chance.uniform(0, 30))
            raise errors.OutcomeUnknown("rent", "the connection broke")
        return number

    def instances(self, label: str | None = None, _age_seconds: float = 0.0) -> list[Instance]:
        self.time.sleep(0.3)
        now = self.time.time()
        shown = [one for one in self.contracts.values() if one.shown_from <= now < one.shown_until]
        return [one.row() for one in shown if label in (None, one.label)]

    def show(self, instance_id: int) -> Instance | None:
        return next((row for row in self.instances() if row.id == instance_id), None)

    def destroy(self, instance_id: int) -> None:
        self.time.sleep(self.chance.uniform(0, 2))
        now, one = self.time.time(), self.contracts[instance_id]
        if one.shown_from <= now < one.ended:
            one.ended = now + self.chance.choice((0, 0, 20))
            one.shown_until = one.ended + self.chance.choice((0, 0, 60))


class OfProcess:
    """The market as one process calls it: a process that was killed makes no call any more."""

    def __init__(self, market: LateMarket, clock: CreatorClock, rents: dict[int, Offer]) -> None:
        self._market, self._clock, self._rents = market, clock, rents

    def rent(self, offer_id: int, body: dict[str, Any]) -> int:
        self._clock.confirm()
        number = self._market.rent(self._rents[offer_id], body["label"])
        self._clock.confirm()
        return number

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*words: Any) -> Any:
            self._clock.confirm()
            answer = getattr(self._market, name)(*words)
            self._clock.confirm()
            return answer

        return call


class LateObject:
    """The bucket's object: each call takes a while, and some answers get lost, before or after the effect."""

    def __init__(self, time: VirtualTime, chance: random.Random) -> None:
        self.time, self.chance = time, chance
        self.content: bytes | None = None
        self.version = 0

    def read(self) -> tuple[bytes | None, str]:
        self._way()
        return self.content, str(self.version) if self.version else ""

    def write(self, content: bytes, version: str) -> bool:
        self._way()
        if version != (str(self.version) if self.version else ""):
            return False
        self.content, self.version = content, self.version + 1
        self._way()
        return True

    def _way(self) -> None:
        self.time.sleep(self.chance.uniform(0.02, 0.2))
        if self.chance.random() < 0.01:
            raise StoreUnreachable("no answer")
