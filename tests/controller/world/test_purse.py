"""Budgets and spend: what cannot be read is unknown, and unknown spend rents nothing."""

from datetime import UTC, datetime
from typing import Any

import pytest

from config.elastic import Elastic
from config.monitoring import BudgetConfig
from controller.money import affordable
from controller.ports import Fleet
from controller.reasons import Rule
from controller.slots import Slot, State
from controller.world.purse import EVERY_SECONDS, OLDEST_SECONDS, SpendReadings, StackPurse, hours_left
from providers.budget.errors import SpendUnknown
from providers.budget.figures import Figures, Promises
from providers.budget.reservations import Reservation
from tests.doubles.clock import FakeClock

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()
FLEETS = {"burst": Fleet(Elastic(max=4), 0.5), "other": Fleet(Elastic(max=4), 2.0)}


def budget(usd_per_day: float) -> BudgetConfig:
    return BudgetConfig.model_validate({"usdPerDay": usd_per_day})


def figures(spent: float, allowed: float = 1e9) -> Figures:
    return Figures("day", allowed, spent, None, 0.0, 0.0, 12.0, 0.0)


class Account:
    """What a look at the stack's budget says, or its error."""

    def __init__(self, *rows: Figures, **reserved: float) -> None:
        self.rows: Any = rows
        self.reserved = {
            str(number): Reservation(name=name.replace("_", "-"), at=NOON, until=NOON + 60, usd_per_hour=usd)
            for number, (name, usd) in enumerate(reserved.items())
        }

    def look(self) -> Any:
        if isinstance(self.rows, Exception):
            raise self.rows
        return self.rows if self.rows is None else (self.rows, Promises({}, {}, self.reserved))


def purse(
    account: Account, clock: FakeClock, allowed: BudgetConfig, rest: float | None = 1.0
) -> tuple[StackPurse, SpendReadings]:
    spending = SpendReadings(account.look, clock)
    return StackPurse(lambda: allowed, spending, lambda _places: rest, clock), spending


def test_a_budget_has_its_spend_with_its_age_and_all_else_that_is_rented() -> None:
    clock, account = FakeClock(NOON), Account(figures(3.0))
    kept, spending = purse(account, clock, budget(20))
    spending.read()
    clock.sleep(60.0)

    rows = {"burst": [Slot(0, State.READY)], "other": [Slot(0, State.READY), Slot(1)]}
    money = kept.money("burst", FLEETS, rows)

    [day] = money.periods
    assert (day.name, day.budget_usd, money.ceiling, money.others) == ("day", 20, 0.5, 3.0)
    assert day.spent is not None
    assert day.spent.usd == pytest.approx(3.0)
    assert day.spent.age_seconds == 60.0
    assert day.hours_left == pytest.approx(12 - 1 / 60)


def test_what_ended_since_the_spend_was_read_is_not_forgotten() -> None:
    clock, account = FakeClock(NOON), Account(figures(3.0))
    kept, spending = purse(account, clock, budget(20))
    spending.read()
    full = {"burst": [Slot(index, State.READY) for index in range(6)], "other": [Slot(0, State.READY)]}
    kept.money("burst", FLEETS, full)
    clock.sleep(60.0)

    money = kept.money("burst", FLEETS, {"burst": [], "other": []})
    assert (money.others, money.others_most, money.most) == (
        1.0,
        9.0,
        6,
    )  # 4 of `other` at its ceiling of 2.0 were allowed

    spending.read()
    clock.sleep(60.0)
    assert kept.money("burst", FLEETS, {"burst": [], "other": []}).most == 4


def test_a_stack_without_a_budget_has_no_limit() -> None:
    money = purse(Account(), FakeClock(NOON), budget(0))[0].money("burst", FLEETS, {})

    assert money.periods == ()


def test_a_budget_that_only_observes_has_no_limit() -> None:
    allowed = BudgetConfig.model_validate({"usdPerDay": 20, "enforce": False})

    assert purse(Account(), FakeClock(NOON), allowed)[0].money("burst", FLEETS, {}).periods == ()


def test_rents_under_way_count_but_those_of_slots_at_their_ceilings() -> None:
    account = Account(figures(3.0), chat_1=0.25, burst_s0=0.4)
    kept, spending = purse(account, FakeClock(NOON), budget(20))
    spending.read()

    money = kept.money("burst", FLEETS, {"burst": [Slot(0, State.RENTING)]})

    assert money.others == pytest.approx(1.0 + 0.25)


def test_without_one_book_for_all_computers_slots_have_a_part_of_the_budget() -> None:
    kept, spending = purse(Account(figures(3.0, allowed=5.0)), FakeClock(NOON), budget(20))
    spending.read()

    assert [period.budget_usd for period in kept.money("burst", FLEETS, {}).periods] == [5.0]


def test_an_account_that_is_not_known_yet_is_no_reading() -> None:
    account = Account()
    account.rows = None
    _kept, spending = purse(account, FakeClock(NOON), budget(20))

    assert not spending.read()
    assert spending.of("day") is None


@pytest.mark.parametrize("rest", [None, 1.0])
def test_what_is_unknown_rents_nothing(rest: float | None) -> None:
    clock, account = FakeClock(NOON), Account(figures(3.0))
    kept, spending = purse(account, clock, budget(2000), rest)
    if rest is None:
        spending.read()

    more, why = affordable(kept.money("burst", FLEETS, {"burst": []}), 0, 4)

    assert more == 0
    assert why is not None
    assert why.rule is Rule.SPEND_UNKNOWN


def test_a_market_that_does_not_answer_leaves_the_last_spend_until_it_is_old() -> None:
    clock, account = FakeClock(NOON), Account(figures(3.0))
    _kept, spending = purse(account, clock, budget(20))
    assert spending.read()
    account.rows = SpendUnknown("no answer")
    clock.sleep(EVERY_SECONDS)
    assert not spending.read()
    assert spending.of("day") is not None

    clock.sleep(OLDEST_SECONDS)
    assert spending.of("day") is None


def test_hours_are_until_the_end_of_the_utc_day_and_month() -> None:
    assert hours_left(NOON) == {"day": 12.0, "month": 36.0}
