"""Bring one instance online: adopt, search, rank, rent, wait, bootstrap. If that fails, give everything back.

The host's fault (never boots, slow, broken, lost) costs one attempt: give back, avoid the machine, next offer. An offer
that another renter took costs none.
If vLLM cannot serve the model on a GPU type, the further search leaves that type out. The fleet's requirements must
name another type for that. Our fault (bad vLLM arguments, missing weights, wrong credentials) ends the create at once.
Every further machine would fail in the same way and cost money.

The market's own trouble costs no attempt and gives no machine back: the create waits it out until its deadline.
If this module raises, nothing stays rented, or the message names the instance.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from bootstrap.errors import HostFault
from bootstrap.services import Progress
from providers.budget.guard import Budget, NoBudget
from providers.engine_watch import RentingClock
from providers.ledger.ledger import Ledger, NoLedger
from providers.ledger.recorder import AttemptRecorder
from providers.vast.api import errors
from providers.vast.api.instance import Instance
from providers.vast.api.offer import Offer
from providers.vast.api.patient_market import PatientMarket
from providers.vast.charged_price import charged_usd_per_hour
from providers.vast.failures import Failure, abandoned, attempts_exhausted, next_step, record_failure
from providers.vast.instance_request import InstanceRequest
from providers.vast.rent_best import BestOffer, note_end
from providers.vast.renting.adopt import Adoption
from providers.vast.renting.host_key import patiently_read, with_last_named
from providers.vast.renting.key_attachment import attach
from providers.vast.renting.last_logs import last_logs
from providers.vast.renting.renter import Renter
from providers.vast.renting.serving_marks import Marks, NoMarks
from providers.vast.renting.wait import wait_until_running
from providers.vast.search import prices
from providers.vast.search.unfit_gpus import UnfitGpus


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
    return _Create(
        renter,
        request,
        bootstrap,
        report_progress,
        AttemptRecorder(ledger or NoLedger(), renter.clock, request.label, renter.limits.time_scale),
        Adoption(renter, request.label, marks or NoMarks(), report_progress, ledger=ledger or NoLedger()),
        budget or NoBudget(),
        renter.clock.monotonic() + renter.limits.total_seconds,
        UnfitGpus(request.requirements.gpu_names),
    ).run()


@dataclass(frozen=True)
class _Attempt:
    """One instance of a create: adopted, or rented by an offer."""

    instance_id: int
    source: Instance | Offer
    usd_per_hour: float | None
    seconds: float  # from the look at our label until the instance was ours
    rented_at: float  # monotonic seconds; an adopted instance was rented at an unknown time before

    @property
    def machine_id(self) -> int | None:
        return self.source.machine_id


@dataclass
class _Create:
    """State of one create: its services, its deadline, and the attempts that failed."""

    renter: Renter
    request: InstanceRequest
    bootstrap: Bootstrap
    report_progress: Progress
    recorder: AttemptRecorder
    adoption: Adoption
    budget: Budget
    deadline: float  # monotonic seconds
    gpus: UnfitGpus
    failures: list[Failure] = field(default_factory=list)

    def __post_init__(self) -> None:
        renter = self.renter
        self.patient_market = PatientMarket(
            renter.market, renter.clock, renter.limits, self.deadline, self.report_progress
        )
        self.patient_renter = replace(renter, market=self.patient_market)

    def run(self) -> Served:
        """Attempt after attempt until one serves; see `bring_online`."""
        clock, limits = self.renter.clock, self.renter.limits
        while len(self.failures) < limits.attempts and clock.monotonic() < self.deadline:
            attempt = self._adopt_or_rent()
            try:
                served = self._serve(attempt)
                self.adoption.keep(attempt.instance_id)
                _hand_over(served, clock)
            except (HostFault, errors.RentalFailed) as fault:
                self._give_back_failed(attempt, fault)
            except errors.DOUBTS as doubt:
                with self.recorder.giving_back(doubt):
                    raise errors.LeftRented(attempt.instance_id, attempt.usd_per_hour, str(doubt)) from doubt
            except BaseException as error:
                self._give_back(attempt, error, abandoned(attempt.instance_id, attempt.usd_per_hour, error))
                self.report_progress("confirm gone", f"instance {attempt.instance_id}")
                raise
            else:
                self.recorder.served(served.download_mbps, served.seconds)
                return served
        raise attempts_exhausted(self.request.name, self.failures, limits)

    def _adopt_or_rent(self) -> _Attempt:
        clock, request = self.renter.clock, self.request
        began = clock.monotonic()
        adopted = self.adoption.adopt(self.patient_market, request.image, request.requirements)
        if adopted:
            self.recorder.adopted(adopted)
            price = charged_usd_per_hour(adopted, request.requirements)
            return _Attempt(adopted.id, adopted, price, clock.monotonic() - began, float("-inf"))
        tried = frozenset(one.machine_id for one in self.failures if one.machine_id is not None)
        requirements = self.gpus.narrow(request.requirements)
        requirements = replace(requirements, avoided_machines=request.requirements.avoided_machines | tried)
        request.confirm_wanted(False)
        with self.gpus.explaining(request.name):
            instance_id, offer = self._best_offer().rent(requirements)
        now = clock.monotonic()
        return _Attempt(instance_id, offer, prices.usd_per_hour(offer, requirements), now - began, now)

    def _best_offer(self) -> BestOffer:
        return BestOffer(
            self.patient_renter,
            self.request,
            self.failures,
            self.report_progress,
            self.recorder,
            self.budget,
            self.deadline,
        )

    def _serve(self, attempt: _Attempt) -> Served:
        """Wait for the instance and bootstrap it. Raises the errors of these steps."""
        clock, request, instance_id = self.renter.clock, self.request, attempt.instance_id
        began = clock.monotonic()
        attach(self.patient_market, instance_id, request.ssh_public_key, self._passed)
        instance = wait_until_running(self.patient_renter, instance_id, request.label, request.gate_port, self.deadline)
        booted = clock.monotonic() - began
        self._passed("wait", f"instance {instance_id} is running after {booted:.1f} s")
        host_key = patiently_read(self.patient_market, self.patient_renter, instance_id, self.deadline)
        known = clock.monotonic() - began - booted

        def serve(pinned: str) -> Served:
            return self.bootstrap.serve(instance, pinned, self._passed, self.deadline)

        served = with_last_named(self.patient_renter, instance_id, host_key, serve, self._passed)
        request.confirm_wanted(True)
        connect = round(known + served.seconds.get("connect", 0.0), 3)
        before = {"rent": round(attempt.seconds, 3), "wait": round(booted, 3)}
        return replace(
            served,
            seconds={**before, **served.seconds, "connect": connect},
            usd_per_hour=attempt.usd_per_hour or served.usd_per_hour,
            attempts=len(self.failures) + 1,
        )

    def _passed(self, phase: str, text: str) -> None:
        """Report a phase of a rented instance, and record that it was reached."""
        self.report_progress(phase, text)
        self.recorder.passed(phase)

    def _give_back_failed(self, attempt: _Attempt, fault: HostFault | errors.RentalFailed) -> None:
        """Give a failed attempt back. Raises the error of the create if no further machine would help."""
        over = self.renter.clock.monotonic() >= self.deadline
        error = record_failure(self.failures, fault, attempt.instance_id, attempt.machine_id, over)
        then, stop = next_step(error, self.failures, self.gpus, attempt.source, self.request.name)
        self._give_back(attempt, error, f"{error}; {then}")
        if stop:
            raise stop from error

    def _give_back(self, attempt: _Attempt, error: BaseException, why: str) -> None:
        """Keep the host's last logs, then give the instance back; the budget learns of it last."""
        self.report_progress("give back", why)
        market, clock, instance_id = self.renter.market, self.renter.clock, attempt.instance_id
        with self.recorder.giving_back(error):
            try:
                self.recorder.keep(last_logs(market, clock, instance_id, error))
            finally:
                self.adoption.give_back(instance_id, attempt.usd_per_hour, attempt.rented_at, error)
                note_end(self.budget, clock, instance_id)


def _hand_over(served: Served, clock: RentingClock) -> None:
    """Disable the host's timer, as the last step. Until then an instance that no process can give back ends itself.

    Raises EngineGone if the engine is gone, because it would never learn of the instance. Disabling the timer needs a
    login, so look for the engine again after it.
    """
    clock.confirm()
    served.end_timer()
    clock.confirm()
