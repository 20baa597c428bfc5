"""Rent one offer with its money reserved before, and keep the ledger's record of it.

The reservation stays if the outcome of the rent is unknown. An answer that says that nothing was rented withdraws it.
"""

from collections.abc import Sequence
from typing import Any

from providers.budget.errors import OverBudget
from providers.budget.guard import Ask, Budget
from providers.engine_watch import EngineGone, RentingClock
from providers.ledger.recorder import AttemptRecorder
from providers.vast.api import errors
from providers.vast.api.offer import Offer
from providers.vast.renting.rent import rent
from providers.vast.renting.renter import Renter
from providers.vast.search import prices
from providers.vast.search.requirements import Requirements

# After these errors of `rent` the market holds no instance of this attempt: refused, given back, or never asked for.
NOTHING_RENTED = (
    errors.OfferGone,
    errors.NoCredit,
    errors.RequestInvalid,
    errors.CredentialsRefused,
    errors.RateLimited,
    errors.BreakerOpen,
    EngineGone,
)


def rent_reserved(
    renter: Renter,
    offer: Offer,
    body: dict[str, Any],
    requirements: Requirements,
    recorder: AttemptRecorder,
    budget: Budget,
    name: str,
) -> int:
    """Rent an offer and return the instance's id. Raises OverBudget, SpendUnknown and the errors of `rent`."""
    key = budget.reserve(renter.market, ask_of(offer, requirements, name))
    price, disk = prices.usd_per_hour(offer, requirements), prices.disk_usd_per_hour(offer, requirements)
    image, traffic = prices.image_usd(offer, requirements), prices.traffic_usd(offer, requirements)
    recorder.renting(offer, price, disk, image, traffic)
    try:
        instance_id = rent(renter, offer, body)
    except errors.OfferGone as gone:
        recorder.taken(gone)
        _withdraw(budget, renter.clock, key)
        raise
    except BaseException as error:
        recorder.failed(error)
        if isinstance(error, NOTHING_RENTED):
            _withdraw(budget, renter.clock, key)
        raise
    recorder.rented(instance_id)
    with renter.clock.patient():  # an engine that goes now must not cost us the instance's id
        budget.rented(key, instance_id)
    return instance_id


def ask_of(offer: Offer, requirements: Requirements, name: str = "") -> Ask:
    """Return what an offer costs: by the hour as the market charges it, and once for image and weights."""
    once = prices.image_usd(offer, requirements) + prices.traffic_usd(offer, requirements)
    return Ask(name, prices.charged_usd_per_hour(offer, requirements), once, offer.machine_id)


def note_end(budget: Budget, clock: RentingClock, instance_id: int) -> None:
    """Tell the budget that an instance is given back, also without an engine."""
    with clock.patient():
        budget.given_back(instance_id)


def _withdraw(budget: Budget, clock: RentingClock, key: str) -> None:
    with clock.patient():
        budget.withdraw(key)


class Affordable:
    """The offers that no refusal of the budget rules out."""

    def __init__(self, requirements: Requirements) -> None:
        self._requirements = requirements
        self._dear: set[int] = set()
        self._refusal: OverBudget | None = None

    def among(self, offers: Sequence[Offer]) -> list[Offer]:
        """Return the offers that may fit. Raises the refusal if it ruled all of them out."""
        found = [one for one in offers if one.id not in self._dear]
        if self._refusal and not found:
            raise self._refusal
        return found

    def refuse(self, over: OverBudget, offer: Offer, offers: Sequence[Offer]) -> None:
        """Rule out an offer that was refused, and all that would not fit either."""
        asks = {one.id: ask_of(one, self._requirements) for one in offers}
        self._dear |= {number for number, ask in asks.items() if not over.fits(ask.usd_per_hour, ask.once_usd)}
        self._dear.add(offer.id)
        self._refusal = over
