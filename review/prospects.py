"""Asks the market what a fleet's rents would cost now: the search of `up`, without its look at the key's account.

A key of scope `misc` is enough. It may search, and it cannot rent. The market is the one that the base branch names.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from providers.vast.api.errors import VastError
from providers.vast.api.offer import Offer
from providers.vast.api.rows import Listing
from providers.vast.search.prices import usd_per_hour
from providers.vast.search.requirements import Requirements
from providers.vast.search.search import find_offers
from providers.vast.search.start_time import pull_seconds, transfer_seconds
from providers.vast.search.why_not import NoMatchingOffer
from review.report import FleetReview, OfferRow
from review.revision import StackRevision

SHOWN = 5  # offers a fleet
MOST_SEARCHES = 16  # a review; the market allows ten in a minute, and updates of the same account need theirs
TOO_MANY = f"the edit has more than {MOST_SEARCHES} fleets with different requirements; a review asks for no more"
NO_KEY = "no key of the market is set: VAST_REVIEW_KEY, a key of scope misc, asks it for offers"


class Searching(Protocol):
    """The one call of the market that a review makes; `VastClient` has it."""

    def search(self, query: dict[str, Any]) -> Listing[Offer]:
        """Return the offers for a query."""


@dataclass(frozen=True)
class Prospect:
    """A fleet's offers, best first, and its requirements of them; `trouble` if the market was not asked or is silent."""

    fleet: str
    requirements: Requirements | None = None
    offers: Sequence[Offer] = ()
    trouble: str = ""
    refusal: str = ""

    @property
    def room_mib(self) -> float | None:
        """The memory of the smallest GPU on offer."""
        return min((offer.gpu_ram for offer in self.offers), default=None)


@dataclass
class Look:
    """Asks the market once for each distinct query, and no more once it is silent. `market` None: it must not be asked."""

    market: Searching | None
    trouble: str = NO_KEY
    _found: dict[Requirements, Prospect] = field(default_factory=dict)

    def _asked(self, fleet: str, requirements: Requirements) -> Prospect:
        assert self.market is not None
        try:
            return Prospect(fleet, requirements, find_offers(self.market, requirements))  # type: ignore[arg-type]
        except NoMatchingOffer as refused:
            return Prospect(fleet, requirements, refusal=refused.of_fleet(fleet))
        except VastError as error:
            # The other fleets would wait for the same silence.
            self.market, self.trouble = None, f"the market does not answer: {error}"
            return Prospect(fleet, requirements, trouble=self.trouble)

    def at(self, head: StackRevision, fleet: str) -> Prospect:
        """Return what the market has for a fleet of the head."""
        elastic = head.config.fleets[fleet].elastic is not None
        settings = head.settings(fleet, f"{fleet}-0", 0, slot=elastic)
        requirements = settings.to_requirements()
        known = self._found.get(requirements)
        if known is not None and not known.refusal:
            return replace(known, fleet=fleet)
        if self.market is None:
            return Prospect(fleet, requirements, trouble=self.trouble)
        if len(self._found) >= MOST_SEARCHES:
            return Prospect(fleet, requirements, trouble=TOO_MANY)
        self._found[requirements] = found = self._asked(fleet, requirements)
        return found


def looked(look: Look, head: StackRevision, fleets: Iterable[str]) -> dict[str, Prospect]:
    """Return the prospect of each of these fleets of the head."""
    return {fleet: look.at(head, fleet) for fleet in fleets}


def fleet_review(prospect: Prospect, elastic: bool, rents: bool, start_seconds: float | None) -> FleetReview:
    """Return what a review shows of a fleet's market. `start_seconds`: of vLLM, as it was measured; None if unknown.

    A fleet without an offer is refused only if it is to rent.
    """
    asked = not prospect.trouble
    prices = [round(price, 6) for price in prices_of(prospect).values()]
    return FleetReview(
        name=prospect.fleet,
        elastic=elastic,
        fitting=len(prospect.offers) if asked else None,
        cheapest=min(prices, default=None),
        dearest=max(prices, default=None),
        offers=tuple(_row(offer, prospect.requirements, start_seconds) for offer in prospect.offers[:SHOWN])
        if prospect.requirements
        else (),
        trouble=prospect.trouble,
        refusal=prospect.refusal if rents else "",
    )


def _row(offer: Offer, requirements: Requirements, start_seconds: float | None) -> OfferRow:
    return OfferRow(
        offer_id=offer.id,
        gpu=f"{offer.num_gpus} x {offer.gpu_name}",
        where=(offer.geolocation or "").strip(", "),
        usd_per_hour=round(usd_per_hour(offer, requirements), 6),
        reliability=offer.reliable or None,
        download_mbps=offer.inet_down,
        first_start_seconds=round(first_start_seconds(offer, requirements, start_seconds), 1),
        starts_later=start_seconds is None,
    )


def first_start_seconds(offer: Offer, requirements: Requirements, start_seconds: float | None) -> float:
    """Estimate the seconds from the rent to an endpoint that serves: image, weights, and vLLM's start if it is known."""
    pull = pull_seconds(requirements.image_gb, offer.inet_down) / requirements.time_scale
    return pull + transfer_seconds(requirements.weights_gb, offer.inet_down) + (start_seconds or 0.0)


def prices_of(prospect: Prospect) -> Mapping[int, float]:
    """Return the all-in price of each offer by its machine, best first, in US dollars an hour."""
    if prospect.requirements is None:
        return {}
    found: dict[int, float] = {}
    for offer in prospect.offers:
        found.setdefault(offer.machine_id, usd_per_hour(offer, prospect.requirements))
    return found
