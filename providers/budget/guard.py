"""Reserve the money of a rent before the rent call, and say how the rent ended.

    key = budget.reserve(market, ask)         # raises OverBudget or SpendUnknown: nothing is rented
    budget.rented(key, instance_id)           # the market named the instance; or
    budget.withdraw(key)                      # it is sure that nothing was rented
    budget.given_back(instance_id)            # the market confirmed the end

A rent whose outcome is unknown keeps its reservation. A process that dies at any of these seams leaves at most a reservation
that expires. Only `reserve` raises, because an instance must not be lost for a note about it.
"""

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from bootstrap.clock import Clock
from bootstrap.services import Progress
from providers.budget.book import Reservations
from providers.budget.errors import BudgetRefused, OverBudget, SpendUnknown
from providers.budget.figures import BudgetFacts, Figures, Promises, Terms, does_not_fit, figures, now_missed, promises
from providers.budget.reservations import Book, Here, Reservation, with_deaths
from providers.budget.sentences import refused
from providers.budget.spending import AskCharges, Spending
from providers.vast.api import label
from providers.vast.api.instance import Instance, all_known

LISTED_SECONDS = 10.0  # market seconds: the list that many renters share
PATIENCE_SECONDS = 120.0  # while spend or book cannot be read; a store fails for a minute at times
PAUSE_SECONDS = 5.0


@dataclass(frozen=True)
class Ask:
    """A rent: the instance's name, $ an hour as the market charges it, $ once for traffic, and the machine."""

    name: str
    usd_per_hour: float
    once_usd: float = 0.0
    machine_id: int | None = None


class Lists(Protocol):
    """The market call that reserving needs."""

    def instances(self, label: str | None = None, age_seconds: float = 0.0) -> list[Instance]:
        """Return the account's instances."""


class Budget(Protocol):
    """A budget as renting sees it."""

    def reserve(self, market: Lists, ask: Ask) -> str:
        """Reserve the money of a rent and return the reservation's key. Raises OverBudget, SpendUnknown."""

    def rented(self, key: str, instance_id: int) -> None:
        """Note the instance of a reservation."""

    def withdraw(self, key: str) -> None:
        """Drop the reservation of a rent that did not happen."""

    def given_back(self, instance_id: int) -> None:
        """Note that an instance is not rented any more."""


class NoBudget:
    """A stack without a budget, or whose budget only observes; satisfies `Budget`."""

    def reserve(self, _market: Lists, _ask: Ask) -> str:
        """Reserve nothing."""
        return ""

    def rented(self, _key: str, _instance_id: int) -> None:
        """Note nothing."""

    def withdraw(self, _key: str) -> None:
        """Drop nothing."""

    def given_back(self, _instance_id: int) -> None:
        """Note nothing."""


@dataclass(frozen=True)
class Bounds:
    """The bounds in an instance's settings: its longest life in hours, and seconds until a reservation expires."""

    max_hours: float | None = None
    expires_seconds: float = 4 * 3600.0
    settle_seconds: float = 90.0


class StackBudget:
    """The budget of one stack; satisfies `Budget`. Thread-safe.

    `terms` returns the Terms; its argument says whether all computers share the book. `charges` asks the market for its
    charges.
    """

    def __init__(
        self,
        stack_id: str,
        terms: Callable[[bool], Terms],
        book: Reservations,
        spending: Spending,
        here: Here,
        clock: Clock,
        bounds: Bounds,
        *,
        charges: AskCharges | None = None,
        report_progress: Progress = lambda _phase, _text: None,
    ) -> None:
        self._charges = charges
        self._stack_id, self._terms, self._book, self._spending = stack_id, terms, book, spending
        self._here, self._clock, self._bounds, self._report_progress = here, clock, bounds, report_progress

    def reserve(self, market: Lists, ask: Ask) -> str:
        """Reserve the money of a rent. While spend or book cannot be read, wait up to PATIENCE_SECONDS."""
        until, is_reported = self._clock.monotonic() + PATIENCE_SECONDS, False
        while True:
            try:
                return self._reserve(market, ask)
            except SpendUnknown as unknown:
                if self._clock.monotonic() + PAUSE_SECONDS >= until:
                    raise
                if not is_reported:
                    self._report_progress("budget", f"{unknown}; asking again for {PATIENCE_SECONDS:.0f} s")
                    is_reported = True
                self._clock.sleep(PAUSE_SECONDS)

    def _reserve(self, market: Lists, ask: Ask) -> str:
        terms, facts = self._terms(self._book.is_shared()), self.facts(market)
        key, one = secrets.token_hex(8), self._reservation(ask, facts.now, terms.time_scale)
        over: list[OverBudget] = []

        def rule(book: Book) -> Book:
            over.clear()
            if key in book.reservations:
                return book  # our write took effect, though its answer got lost
            book, found = looked(book, facts, terms, self._here)
            rows = figures(facts, found, terms)
            worst = does_not_fit(one, rows)
            if worst is None:
                return book.with_reservation(key, one)
            over.append(_over(ask, one, worst, rows, terms))
            return book

        self._book.change(rule)
        if over:
            raise over[0]
        return key

    def facts(self, market: Lists) -> BudgetFacts:
        """Ask for the facts behind the figures. Raises SpendUnknown, and the market's errors."""
        scale = self._terms(True).time_scale
        asked = self._clock.time()
        listed = all_known(market.instances(None, LISTED_SECONDS / scale))
        rows = [row for row in listed if not row.label or _is_of(row, self._stack_id)]
        rentals, charged = self._spending.rentals(), self._spending.charged(self._charges)
        listed_at = asked - LISTED_SECONDS / scale
        return BudgetFacts(self._clock.time(), rentals, rows, listed_at, charged, self._bounds.settle_seconds)

    def look(self, market: Lists) -> tuple[tuple[Figures, ...], Promises]:
        """Return figures and promises now, without a change of the book. Raises SpendUnknown, and the market's errors."""
        terms, facts = self._terms(self._book.is_shared()), self.facts(market)
        _book, found = looked(self._book.read(), facts, terms, self._here)
        return figures(facts, found, terms), found

    def is_shared(self) -> bool:
        """Say whether the book holds for all computers of the stack. Raises SpendUnknown."""
        return self._book.is_shared()

    def rented(self, key: str, instance_id: int) -> None:
        """Note the instance. If that fails, its label in the market's list will tell."""
        self._note(lambda book: book.with_instance(key, instance_id))

    def withdraw(self, key: str) -> None:
        """Drop the reservation. If that fails, it expires."""
        self._note(lambda book: book.without(key))

    def given_back(self, instance_id: int) -> None:
        """Note the end. If that fails, the ledger tells it within minutes."""
        now = self._clock.time()
        self._note(lambda book: book.with_end(instance_id, now))

    def _note(self, rule: Callable[[Book], Book]) -> None:
        with suppress(BudgetRefused):
            self._book.change(rule)

    def _reservation(self, ask: Ask, now: float, scale: float) -> Reservation:
        return Reservation(
            name=ask.name,
            at=now,
            until=now + self._bounds.expires_seconds,
            usd_per_hour=ask.usd_per_hour * scale,
            once_usd=ask.once_usd,
            max_hours=self._bounds.max_hours,
            machine_id=ask.machine_id,
            computer=self._here.computer,
            process=self._here.process,
        )


def looked(book: Book, facts: BudgetFacts, terms: Terms, here: Here) -> tuple[Book, Promises]:
    """Update the book from one look, and return it with the running and reserved instances. Raises SpendUnknown."""
    book = with_deaths(book.pruned(facts.now), facts.now, here)
    found = promises(facts, book, terms)
    return now_missed(facts, book, found), found


def _over(ask: Ask, one: Reservation, worst: Figures, rows: tuple[Figures, ...], terms: Terms) -> OverBudget:
    left = {row.period: (row.left, row.hours_left) for row in rows}

    def fits(usd_per_hour: float, once_usd: float) -> bool:
        other = one.model_copy(update={"usd_per_hour": usd_per_hour * terms.time_scale, "once_usd": once_usd})
        return all(other.usd(hours) <= usd + 1e-9 for usd, hours in left.values())

    return OverBudget(refused(ask.name, one, worst, terms.share), fits)


def _is_of(row: Instance, stack_id: str) -> bool:
    mark = label.parse(row.label)
    return mark is not None and mark.stack_id == stack_id
