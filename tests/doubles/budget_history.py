"""A day of 48 renters on two computers under one budget, in virtual time, by a seed: late lists, lost replies, kills.

    found = play(seed)                          # .usd is what the day has cost, .budget what it may cost
    found = play(seed, reserving=False)         # the same rules, and a book that keeps no reservation

Half of the renters are one update of people; a killed update is followed by another. The others are slots, a process each, on
the controller's computer. Renting, reserving, the ledger's records and the count of spend are the shipped code. The market,
the bucket's object and the clock are in memory. The market bills as the real one does: the disk until an instance runs, then
the GPUs, traffic once. An instance that nobody ends runs until the day does.
"""

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from providers.budget.book import BucketBook
from providers.budget.errors import BudgetRefused, OverBudget
from providers.budget.figures import Terms
from providers.budget.guard import Bounds, Budget, StackBudget
from providers.budget.reservations import Book, Here
from providers.budget.spending import StackSpending
from providers.ledger.event import Event
from providers.ledger.instance_end import GIVEN_BACK, state_ended
from providers.ledger.recorder import AttemptRecorder
from providers.store.shared_object import SharedObject
from providers.vast.api import errors
from providers.vast.api.offer import Offer
from providers.vast.instance_request import rent_body
from providers.vast.limits import Limits
from providers.vast.rent_best import note_end, rent_reserved
from providers.vast.renting.give_back import give_back
from providers.vast.renting.rent import settle
from providers.vast.renting.renter import Renter
from providers.vast.search import prices
from tests.doubles.late_market import HOUR, REQUIREMENTS, LateMarket, LateObject, OfProcess
from tests.doubles.ledger import FakeLedger
from tests.doubles.two_creators import CreatorClock, Killed
from tests.doubles.virtual_time import VirtualTime

MORNING = datetime(2026, 11, 29, 6, tzinfo=UTC).timestamp()
RENTERS = 48
STACK = "s"


class Forgetful(BucketBook):
    """A book that keeps no reservation."""

    def change(self, rule: Callable[[Book], Book]) -> Book:
        return super().change(lambda book: rule(book).model_copy(update={"reservations": {}}))


class SharedLedger(FakeLedger):
    """The stack's ledger in the bucket, as `StackSpending` reads it."""

    def fresh(self, _stack_id: str, _since: str, outcomes: frozenset[Any], known: Any) -> list[Event]:
        return [event for event in self.events if event.outcome in outcomes and event.key not in known]


@dataclass
class Computer:
    """One computer: which of its processes live, and the lock that they share."""

    name: str
    time: VirtualTime
    living: set[int] = field(default_factory=set)
    locked: bool = False

    @contextmanager
    def lock(self) -> Iterator[None]:
        while self.locked:
            self.time.sleep(0.5)
        self.locked = True
        try:
            yield
        finally:
            self.locked = False


class Day:
    """One history. `usd`: what the day has cost; `refused`: rents that the budget refused; `kills`: killed processes."""

    def __init__(self, seed: int, reserving: bool = True) -> None:
        self.seed, self.reserving, self.chance = seed, reserving, random.Random(seed)
        self.time = VirtualTime(MORNING)
        self.budget = self.chance.uniform(30, 180)
        self.market = LateMarket(self.time, self.chance)
        self.object = LateObject(self.time, self.chance)
        self.ledger = SharedLedger()
        self.people, self.controller = Computer("people", self.time), Computer("controller", self.time)
        self._pids = itertools.count(100)
        self.refused = self.kills = 0
        ups = list(range(RENTERS // 2))
        slots = [self._slot(number) for number in range(RENTERS // 2)]
        self.time.run(*self._update(ups), *slots)
        self.ends = MORNING + 18 * HOUR
        self.usd = sum(one.usd(self.ends) for one in self.market.contracts.values())

    def _update(self, names: list[int]) -> list[Callable[[], None]]:
        """Return the renters of one `up` in one process. Where it was killed, another goes on a while later."""
        first, second = self._process(self.people), self._process(self.people, dies=False)
        again = self.chance.uniform(10, 3000)

        def renter(number: int) -> None:
            one = _Renter(self, first, f"chat-{number}", self.chance.uniform(0, 20))
            if not one.run():
                self.time.sleep(again)
                _Renter(self, second, f"chat-{number}", 0.0, adopts=True).run()

        return [lambda number=number: renter(number) for number in names]  # type: ignore[misc]

    def _slot(self, number: int) -> Callable[[], None]:
        process = self._process(self.controller)
        begins = self.chance.uniform(0, self.chance.choice((30, 3 * HOUR)))
        return lambda: cast(None, _Renter(self, process, f"burst-s{number}", begins).run())

    def _process(self, computer: Computer, dies: bool = True) -> "_Process":
        pid = next(self._pids)
        computer.living.add(pid)
        dies_at = self.chance.uniform(0, 2 * HOUR) if dies and self.chance.random() < 0.3 else float("inf")
        return _Process(self, computer, pid, dies_at)


class _Clock(CreatorClock):
    """A process's clock; the process dies at a moment."""

    dies_at = float("inf")

    def confirm(self) -> None:
        if self.all.now >= self.dies_at:
            self.killed = True
        super().confirm()


class _Process:
    """One process of a computer: its clock, its count of spend, and its budget."""

    def __init__(self, day: Day, computer: Computer, pid: int, dies_at: float) -> None:
        self.computer, self.pid = computer, pid
        self.clock = _Clock(day.time)
        self.clock.dies_at = dies_at
        self.rents: dict[int, Offer] = {}
        self.market = OfProcess(day.market, self.clock, self.rents)
        spending = StackSpending(cast(Any, day.ledger), STACK, cast(Any, self.clock))
        book = (BucketBook if day.reserving else Forgetful)(
            cast(SharedObject, day.object),
            "book",
            self.clock,
            cast(Callable[[], AbstractContextManager[None]], computer.lock),
            day.chance.uniform,
        )
        here = Here(computer.name, pid, computer.living.__contains__)
        terms = Terms({"day": day.budget})
        self.budget: Budget = StackBudget(
            STACK, lambda _shared: terms, book, spending, here, self.clock, Bounds(expires_seconds=4 * HOUR)
        )
        self._day = day

    def died(self) -> None:
        if self.pid in self.computer.living:
            self.computer.living.discard(self.pid)
            self._day.kills += 1


class _Renter:
    """Brings one instance online again and again, as a create does, and gives some of them back."""

    def __init__(self, day: Day, process: _Process, name: str, begins: float, adopts: bool = False) -> None:
        self.day, self.process, self.name, self.begins, self.adopts = day, process, name, begins, adopts
        self.label = f"gpu-fleet/{STACK}/{name}"
        self.renter = Renter(cast(Any, process.market), process.clock, Limits())
        self.recorder = AttemptRecorder(day.ledger, process.clock, self.label)

    def run(self) -> bool:
        """Work to the end; False if the process was killed."""
        try:
            self.process.clock.sleep(self.begins)
            if self.adopts and settle(self.renter, self.label):
                return True
            for _round in range(self.day.chance.choice((1, 2, 4))):
                if not self._once():
                    break
        except Killed:
            self.process.died()
            return False
        return True

    def _once(self) -> bool:
        """Rent, start, and give back or keep. Return True to go on with another round."""
        chance, clock, budget = self.day.chance, self.process.clock, self.process.budget
        found = self.day.market.any_offer()
        self.process.rents[found.id] = found
        body = rent_body("image", REQUIREMENTS.disk_gb, self.label, "true", 8443)
        try:
            number = rent_reserved(self.renter, found, body, REQUIREMENTS, self.recorder, budget, self.name)
        except errors.OfferGone:
            return True
        except OverBudget:
            self.day.refused += 1
            clock.sleep(chance.uniform(60, HOUR))
            return True
        except (BudgetRefused, errors.OutcomeUnknown):
            return False
        rented_at = clock.monotonic()
        one = self.day.market.contracts[number]
        clock.sleep(max(0.0, one.boots_at - clock.time()) + chance.uniform(0, 85))
        self.recorder.passed("wait")
        one.traffic += prices.traffic_usd(found, REQUIREMENTS)
        clock.sleep(chance.uniform(5, 200))
        self.recorder.passed("fetch weights")
        if chance.random() < 0.25:
            fault = errors.RentalFailed(number, "host", "port 22 is closed")
            with self.recorder.giving_back(fault):
                give_back(self.renter, number, None, rented_at)
                note_end(budget, clock, number)
            return True
        self.recorder.served(None, {})
        served_at, served = clock.time(), clock.monotonic()
        if chance.random() < 0.5:
            return False
        clock.sleep(chance.uniform(60, 2 * HOUR))
        outs = {"createdAt": served_at, "usdPerHour": prices.usd_per_hour(found, REQUIREMENTS)}
        give_back(self.renter, number, None, served)
        budget.given_back(number)
        with suppress(errors.VastError):
            state_ended(self.day.ledger, clock.time(), self.label, number, outs, GIVEN_BACK, None)
        return True


def play(seed: int, reserving: bool = True) -> Day:
    """Play one day."""
    return Day(seed, reserving)
