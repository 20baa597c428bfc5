"""Bring one instance online: adopt, search, rank, rent, wait, bootstrap. If that fails, give everything back.

The host's fault (taken, never boots, slow, broken, lost) costs one attempt: give back, avoid the machine, next offer.
If vLLM cannot serve the model on a GPU type, the further search leaves that type out. The fleet's requirements must
name another type for that. Our fault (bad vLLM arguments, missing weights, wrong credentials) ends the create at once.
Every further machine would fail in the same way and cost money.

The market's own trouble costs no attempt and gives no machine back: the create waits it out until its deadline.
If this module raises, nothing stays rented, or the message names the instance.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from bootstrap.errors import HostFault
from bootstrap.services import Progress
from providers.budget.errors import OverBudget
from providers.budget.guard import Budget, NoBudget
from providers.engine_watch import RentingClock
from providers.ledger.ledger import Ledger, NoLedger
from providers.ledger.recorder import AttemptRecorder
from providers.vast.api import errors
from providers.vast.api.instance import Instance
from providers.vast.api.offer import Offer
from providers.vast.api.patient_market import PatientMarket
from providers.vast.charged_price import charged_usd_per_hour
from providers.vast.failures import Failure, abandoned, describe_attempts, exhausted, following, noted
from providers.vast.renting.adopt import Adoption
from providers.vast.renting.host_key import patiently_read, with_last_named
from providers.vast.renting.key_attachment import attach
from providers.vast.renting.last_logs import last_logs
from providers.vast.renting.rent import rent_body
from providers.vast.renting.renter import Renter
from providers.vast.renting.serving_marks import Marks, NoMarks
from providers.vast.renting.wait import wait_until_running
from providers.vast.reserved_rent import Affordable, note_end, rent_reserved
from providers.vast.search import prices, ranking
from providers.vast.search.deadline import in_time, too_late
from providers.vast.search.requirements import Requirements
from providers.vast.search.search import candidates
from providers.vast.search.unfit_gpus import UnfitGpus
from providers.vast.search.why_not import NoMatchingOffer


def always_wanted(_is_rented: bool) -> None:
    """Raise nothing: the instance is wanted for as long as its create runs."""


@dataclass(frozen=True)
class InstanceRequest:
    """Instance to bring online. `label` is its identity. `confirm_wanted` raises if it is not wanted any more."""

    name: str
    label: str
    requirements: Requirements
    image: str
    onstart: str
    gate_port: int
    image_login: str | None = field(default=None, repr=False)  # flags of `docker login`, including a password
    ssh_public_key: str = ""  # attached to the instance through the market
    confirm_wanted: Callable[[bool], None] = always_wanted  # asked with False before a rent, with True once it serves


@dataclass(frozen=True)
class Served:
    """Instance that answered a completion."""

    instance: Instance
    endpoint: str
    host_key: str
    certificate_end: float  # unix seconds
    seconds: dict[
        str, float
    ]  # by phase; "rent" begins with the look at our label, "connect" with that for the host key
    usd_per_hour: float  # all-in if the offer is known, else the market's charge
    attempts: int = 1
    download_mbps: float | None = None  # measured during the download of the weights
    warm: dict[str, str] | None = None  # key and digest of the stored compile cache
    end_timer: Callable[[], None] = lambda: None  # disables the host's timer for good; raises bootstrap errors


class Bootstrap(Protocol):
    """Brings a running instance to an answered completion; see `instance_bootstrap.InstanceBootstrap`."""

    def serve(self, instance: Instance, host_key: str, report_progress: Progress, deadline: float) -> Served:
        """Connect, converge and probe before `deadline` (monotonic seconds).

        Raises bootstrap errors: HostFault or OurFault.
        """


def bring_online(
    renter: Renter,
    request: InstanceRequest,
    bootstrap: Bootstrap,
    report_progress: Progress,
    ledger: Ledger | None = None,
    marks: Marks | None = None,
    budget: Budget | None = None,
) -> Served:
    """Return the one instance that serves under the request's label.

    `ledger` records every attempt and gives advice. `marks` decide between several creators of the instance. `budget` says
    whether a rent fits.

    Raises NoMatchingOffer, BudgetRefused, NoCredit, CredentialsRefused, the bootstrap's OurFault, EngineGone and
    AttemptsExhausted. Raises StillRented if giving back failed, and LeftToAnother if another creator has the instance.
    Raises LeftRented if the market gave no answer until the deadline.
    """
    deadline = renter.clock.monotonic() + renter.limits.total_seconds
    patient = PatientMarket(renter.market, renter.clock, renter.limits, deadline, report_progress)
    waiting = replace(renter, market=patient)
    adoption = Adoption(renter, request.label, marks or NoMarks(), report_progress, ledger=ledger or NoLedger())
    failures: list[Failure] = []
    gpus, budget = UnfitGpus(request.requirements.gpu_names), budget or NoBudget()
    recorder = AttemptRecorder(ledger or NoLedger(), renter.clock, request.label, renter.limits.time_scale)

    def report_and_record(phase: str, text: str) -> None:
        report_progress(phase, text)
        recorder.passed(phase)

    while len(failures) < renter.limits.attempts and renter.clock.monotonic() < deadline:
        began = renter.clock.monotonic()
        adopted = adoption.adopt(patient, request.image, request.requirements)
        if adopted:
            recorder.adopted(adopted)
        tried = frozenset(failure.machine_id for failure in failures if failure.machine_id is not None)
        requirements = replace(
            gpus.narrow(request.requirements), avoided_machines=request.requirements.avoided_machines | tried
        )
        with gpus.explaining(request.name):
            instance_id, offer = (
                (adopted.id, None)
                if adopted
                else _rent_best(
                    waiting,
                    replace(request, requirements=requirements),
                    failures,
                    report_progress,
                    recorder,
                    deadline,
                    budget,
                )
            )
        rented_at = float("-inf") if adopted else renter.clock.monotonic()
        rented = round(renter.clock.monotonic() - began, 3)
        machine_id = offer.machine_id if offer else adopted.machine_id if adopted else None
        price = (
            prices.usd_per_hour(offer, requirements)
            if offer
            else charged_usd_per_hour(adopted, requirements)
            if adopted
            else None
        )
        try:
            served = _serve(patient, waiting, request, bootstrap, report_and_record, instance_id, deadline)
            served = replace(
                served,
                seconds={"rent": rented, **served.seconds},
                usd_per_hour=price or served.usd_per_hour,
                attempts=len(failures) + 1,
            )
            adoption.keep(instance_id)
            _hand_over(served, renter.clock)
        except (HostFault, errors.RentalFailed) as fault:
            error = noted(failures, fault, instance_id, machine_id, renter.clock.monotonic() >= deadline)
            then, stop = following(error, failures, gpus, offer or adopted, request.name)
            report_progress("give back", f"{error}; {then}")
            with recorder.giving_back(error):
                _keep_and_give_back(adoption, instance_id, price, rented_at, error, recorder, budget)
            if stop:
                raise stop from error
        except errors.DOUBTS as doubt:
            with recorder.giving_back(doubt):
                raise errors.LeftRented(instance_id, price, str(doubt)) from doubt
        except BaseException as error:
            report_progress("give back", abandoned(instance_id, price, error))
            with recorder.giving_back(error):
                _keep_and_give_back(adoption, instance_id, price, rented_at, error, recorder, budget)
            report_progress("confirm gone", f"instance {instance_id}")
            raise
        else:
            recorder.served(served.download_mbps, served.seconds)
            return served
    raise exhausted(request.name, failures, renter.limits)


def _hand_over(served: Served, clock: RentingClock) -> None:
    """Disable the host's timer, as the last step. Until then an instance that no process can give back ends itself.

    Raises EngineGone if the engine is gone, because it would never learn of the instance. Disabling the timer needs a
    login, so look for the engine again after it.
    """
    clock.confirm()
    served.end_timer()
    clock.confirm()


def _keep_and_give_back(
    adoption: Adoption,
    instance_id: int,
    price: float | None,
    rented_at: float,
    error: BaseException,
    recorder: AttemptRecorder,
    budget: Budget,
) -> None:
    try:
        recorder.keep(last_logs(adoption.renter.market, adoption.renter.clock, instance_id, error))
    finally:
        adoption.give_back(instance_id, price, rented_at, error)
        note_end(budget, adoption.renter.clock, instance_id)


def _rent_best(
    renter: Renter,
    request: InstanceRequest,
    failures: list[Failure],
    report_progress: Progress,
    recorder: AttemptRecorder,
    deadline: float,
    budget: Budget,
) -> tuple[int, Offer]:
    request.confirm_wanted(False)
    requirements = request.requirements
    body = rent_body(
        request.image, requirements.disk_gb, request.label, request.onstart, request.gate_port, request.image_login
    )
    gone: set[int] = set()  # machines that another customer took before us
    affordable = Affordable(requirements)
    while True:
        try:
            records = recorder.ledger.records()
            ranked, asked = candidates(renter.market, requirements, records, renter.clock.time(), report_progress)
        except NoMatchingOffer as error:
            raise NoMatchingOffer("\n".join([str(error), *describe_attempts(failures)]), error.key) from error
        if not gone:
            machines = len({offer.machine_id for offer in ranked})
            report_progress(
                "search", f"{machines} machines fit, best ${prices.usd_per_hour(ranked[0], requirements):.3f}/h all-in"
            )
        left = deadline - renter.clock.monotonic()
        quick = in_time(ranked, requirements, records, renter.limits, left)
        if not quick:
            failures.append(Failure(None, None, "time", too_late(ranked, requirements, records, renter.limits, left)))
            raise exhausted(request.name, failures, renter.limits)
        quick = affordable.among([one for one in quick if one.machine_id not in gone])
        if not quick:
            raise NoMatchingOffer(
                "every offer that fits was taken by somebody else while we tried to rent it; run `pulumi up` again."
            )
        choose = partial(ranking.choose, quick, requirements, records)
        try:
            with renter.market.claim(request.label, choose) as offer:
                instance_id = rent_reserved(renter, offer, body, requirements, recorder, budget, request.name)
        except OverBudget as over:
            affordable.refuse(over, offer, quick)
            report_progress("budget", f"machine {offer.machine_id} does not fit the budget; trying a cheaper one")
            continue
        except errors.OfferGone as taken:
            # Other offers on that list may be gone by now. Each vain rent costs every process of the account a turn.
            gone.add(offer.machine_id)
            for query in asked:
                renter.market.forget_search(query)
            report_progress("rent", f"{taken}; next offer")
            continue
        where = f"machine {offer.machine_id} ({offer.country or 'somewhere'})"
        price = prices.usd_per_hour(offer, requirements)
        report_progress("rent", f"instance {instance_id} on {where}, ${price:.3f}/h all-in")
        return instance_id, offer


def _serve(
    patient: PatientMarket,
    renter: Renter,
    request: InstanceRequest,
    bootstrap: Bootstrap,
    report_progress: Progress,
    instance_id: int,
    deadline: float,
) -> Served:
    began = renter.clock.monotonic()
    attach(renter.market, instance_id, request.ssh_public_key, report_progress)
    instance = wait_until_running(renter, instance_id, request.label, request.gate_port, deadline)
    booted = renter.clock.monotonic() - began
    report_progress("wait", f"instance {instance_id} is running after {booted:.1f} s")
    host_key = patiently_read(patient, renter, instance_id, deadline)
    known = renter.clock.monotonic() - began - booted

    def serve(pinned: str) -> Served:
        return bootstrap.serve(instance, pinned, report_progress, deadline)

    served = with_last_named(renter, instance_id, host_key, serve, report_progress)
    request.confirm_wanted(True)
    connect = round(known + served.seconds.get("connect", 0.0), 3)
    return replace(served, seconds={"wait": round(booted, 3), **served.seconds, "connect": connect})
