"""Rent the best offer that fits: search, rank, reserve the money, rent. If the offer is gone, the next one.

The reservation stays if the outcome of the rent is unknown. An answer that says that nothing was rented withdraws it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bootstrap.services import Progress
from providers.budget.errors import OverBudget
from providers.budget.guard import Ask, Budget
from providers.engine_watch import EngineGone, RentingClock
from providers.ledger.machine_history import MachineHistory
from providers.ledger.recorder import AttemptRecorder
from providers.vast.api import errors
from providers.vast.api.offer import Offer
from providers.vast.failures import Failure, attempts_exhausted, describe_attempts
from providers.vast.instance_request import InstanceRequest
from providers.vast.renting.rent import rent
from providers.vast.renting.renter import Renter
from providers.vast.search import prices, ranking
from providers.vast.search.deadline import in_time, too_late
from providers.vast.search.requirements import Requirements
from providers.vast.search.search import candidates
from providers.vast.search.why_not import NoMatchingOffer

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


@dataclass(frozen=True)
class BestOffer:
    """Rents for one create. `failures` are its earlier attempts, to which a search without an offer in time adds one."""

    renter: Renter
    request: InstanceRequest
    failures: list[Failure]
    report_progress: Progress
    recorder: AttemptRecorder
    budget: Budget
    deadline: float  # monotonic seconds

    def rent(self, requirements: Requirements) -> tuple[int, Offer]:
        """Return the id of the rented instance, and its offer. `requirements`: those of the request, or narrower ones.

        Raises NoMatchingOffer, AttemptsExhausted if no offer would serve in time, and the errors of `rent_reserved`.
        """
        body = self.request.rent_body(requirements.disk_gb)
        gone: set[int] = set()  # machines that another customer took before us
        affordable = Affordable(requirements)
        while True:
            histories = self.recorder.ledger.machine_histories()
            fit, asked = self._offers_in_time(requirements, histories, first=not gone)
            fit = affordable.among([one for one in fit if one.machine_id not in gone])
            if not fit:
                raise NoMatchingOffer(
                    "every offer that fits was taken by somebody else while we tried to rent it; run `pulumi up` again."
                )
            choose = partial(ranking.choose, fit, requirements, histories)
            try:
                with self.renter.market.claim(self.request.label, choose) as offer:
                    instance_id = rent_reserved(
                        self.renter, offer, body, requirements, self.recorder, self.budget, self.request.name
                    )
            except OverBudget as over:
                affordable.refuse(over, offer, fit)
                self.report_progress(
                    "budget", f"machine {offer.machine_id} does not fit the budget; trying a cheaper one"
                )
                continue
            except errors.OfferGone as taken:
                # Other offers on that list may be gone by now. Each vain rent costs every process of the account a turn.
                gone.add(offer.machine_id)
                for query in asked:
                    self.renter.market.forget_search(query)
                self.report_progress("rent", f"{taken}; next offer")
                continue
            where = f"machine {offer.machine_id} ({offer.country or 'somewhere'})"
            price = prices.usd_per_hour(offer, requirements)
            self.report_progress("rent", f"instance {instance_id} on {where}, ${price:.3f}/h all-in")
            return instance_id, offer

    def _offers_in_time(
        self, requirements: Requirements, histories: Mapping[int, MachineHistory], first: bool
    ) -> tuple[list[Offer], list[dict[str, Any]]]:
        """Return the offers that can serve before the deadline, best first, and the queries that found them."""
        clock, limits = self.renter.clock, self.renter.limits
        try:
            ranked, asked = candidates(self.renter.market, requirements, histories, clock.time(), self.report_progress)
        except NoMatchingOffer as error:
            raise NoMatchingOffer("\n".join([str(error), *describe_attempts(self.failures)]), error.key) from error
        if first:
            machines = len({offer.machine_id for offer in ranked})
            self.report_progress(
                "search", f"{machines} machines fit, best ${prices.usd_per_hour(ranked[0], requirements):.3f}/h all-in"
            )
        left = self.deadline - clock.monotonic()
        quick = in_time(ranked, requirements, histories, limits, left)
        if not quick:
            late = too_late(ranked, requirements, histories, limits, left)
            self.failures.append(Failure(None, None, "time", late))
            raise attempts_exhausted(self.request.name, self.failures, limits)
        return quick, asked


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
    with renter.clock.without_engine():  # an engine that goes now must not cost us the instance's id
        budget.rented(key, instance_id)
    return instance_id


def ask_of(offer: Offer, requirements: Requirements, name: str = "") -> Ask:
    """Return the price of an offer: by the hour as the market charges it, and once for image and weights."""
    once = prices.image_usd(offer, requirements) + prices.traffic_usd(offer, requirements)
    return Ask(name, prices.charged_usd_per_hour(offer, requirements), once, offer.machine_id)


def note_end(budget: Budget, clock: RentingClock, instance_id: int) -> None:
    """Tell the budget that an instance is given back, also without an engine."""
    with clock.without_engine():
        budget.given_back(instance_id)


def _withdraw(budget: Budget, clock: RentingClock, key: str) -> None:
    with clock.without_engine():
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
