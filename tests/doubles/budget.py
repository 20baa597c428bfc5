"""A stack's money in memory: a book that a test looks into, spend that it sets, and a budget over both."""

from collections.abc import Callable, Mapping

from bootstrap.clock import Clock
from providers.budget.errors import SpendUnknown
from providers.budget.figures import Terms
from providers.budget.guard import Bounds, StackBudget
from providers.budget.own_count import Rental
from providers.budget.reservations import Book, Here
from providers.budget.spending import AskCharges, Charged

HERE = Here("here", 1, lambda process: process == 1)


class FakeBook:
    """Satisfies `Reservations`. `before` is called at each step with its name; `unknown` makes each step fail."""

    def __init__(self, shared: bool = True, before: Callable[[str], None] = lambda _step: None) -> None:
        self.book, self.shared, self.before, self.unknown = Book(), shared, before, False

    def is_shared(self) -> bool:
        return self.shared

    def read(self) -> Book:
        self._step("read")
        return self.book

    def change(self, rule: Callable[[Book], Book]) -> Book:
        self._step("change")
        self.book = rule(self.book)
        return self.book

    def _step(self, name: str) -> None:
        self.before(name)
        if self.unknown:
            raise SpendUnknown("the book cannot be read")


class FakeSpending:
    """Satisfies `Spending`."""

    def __init__(self, known: Mapping[int, Rental] | None = None, charged: Charged | None = None) -> None:
        self.known, self.usd = dict(known or {}), charged

    def rentals(self) -> Mapping[int, Rental]:
        return self.known

    def charged(self, _ask: AskCharges | None) -> Charged | None:
        return self.usd


def budget_of(
    clock: Clock,
    usd_per_day: float,
    book: FakeBook | None = None,
    spending: FakeSpending | None = None,
    stack_id: str = "s",
    bounds: Bounds = Bounds(),  # noqa: B008 -- frozen
) -> StackBudget:
    """Return the budget of a stack that has one for the day alone."""
    terms = Terms({"day": usd_per_day})
    return StackBudget(
        stack_id, lambda _shared: terms, book or FakeBook(), spending or FakeSpending(), HERE, clock, bounds
    )
