"""A rent that the budget has no room for is refused before it is approved, and only if the update would refuse it, too."""

from typing import Any

import pytest

from config.stack import StackConfig
from providers.vast.rent_best import ask_of
from providers.vast.settings import InstanceSettings
from review.budget_room import without_room
from review.prospects import Prospect
from review.report import Action
from review.standing import Standing, StandingInstance
from tests.doubles.machines import offer
from tests.doubles.reviewed_repository import CONFIG
from tests.doubles.reviewing import instance
from tests.doubles.reviews import instance as reviewed
from tests.doubles.settings import PROPS

AT = 1_796_083_200.0 + 18 * 3600  # six hours are left of the UTC day
RUNS = reviewed("chat-0", Action.UNCHANGED, now=0.5)
RENTS = reviewed("chat-1", Action.RENTED)
PROSPECT = Prospect("chat", InstanceSettings.from_props(PROPS).to_requirements(), [offer(2), offer(1)])
ASKS = [ask_of(each, PROSPECT.requirements) for each in PROSPECT.offers if PROSPECT.requirements]
CHEAPEST, ONCE = min((ask.usd_per_hour, ask.once_usd) for ask in ASKS)


def config(max_hours: float | None = None, **budget: Any) -> StackConfig:
    plain = {key: value for key, value in CONFIG.items() if "Key" not in key}
    chat = {**plain["fleets"]["chat"], "maxHours": max_hours}
    return StackConfig.model_validate({**plain, "fleets": {"chat": chat}, "budget": budget})


def standing(created: float | None = None, **known: Any) -> Standing:
    row: StandingInstance = instance("chat-0", usd_per_hour=0.5, created_at=created)
    return Standing(stack="dev", at=AT, instances=(row,), **known)


def said(
    head: StackConfig, runs: Standing | None = None, scale: float = 1.0, prospect: Prospect = PROSPECT
) -> list[str]:
    return list(without_room([RUNS, RENTS], head, {"chat": prospect}, runs or standing(), AT, scale))


def test_the_rest_of_the_day_of_what_runs_and_of_the_cheapest_offer_must_fit() -> None:
    need = 6 * (0.5 + CHEAPEST) + ONCE

    assert said(config(usdPerDay=need + 0.01)) == []
    (refused,) = said(config(usdPerDay=need - 0.01))
    assert refused.startswith(
        f"budget.usdPerDay: what the edit rents costs at least ${6 * CHEAPEST + ONCE:.2f} until the UTC day ends"
    )
    assert refused.endswith(f"Raise the budget to ${need:.2f}, or rent less.")
    (scaled,) = said(config(usdPerDay=need + 0.01), scale=30.0)
    assert f"Raise the budget to ${180 * (0.5 + CHEAPEST) + ONCE:,.2f}" in scaled


def test_a_month_counts_what_was_spent_if_that_is_known() -> None:
    hours = 30 * 24 + 6  # to the end of December, from the 1st at 18:00
    need = hours * (0.5 + CHEAPEST) + ONCE

    assert said(config(usdPerMonth=need + 5)) == []
    assert said(config(usdPerMonth=need + 5), standing(spent_this_month=4.9)) == []
    (refused,) = said(config(usdPerMonth=need + 5), standing(spent_this_month=5.1))
    assert refused.startswith("budget.usdPerMonth: ")


def test_an_instance_that_ends_itself_costs_until_then() -> None:
    need = 2 * CHEAPEST + ONCE + 0.5

    assert said(config(2.0, usdPerDay=need + 0.01), standing(AT - 3600)) == []
    assert len(said(config(2.0, usdPerDay=need - 0.01), standing(AT - 3600))) == 1
    assert said(config(2.0, usdPerDay=2 * CHEAPEST + ONCE + 0.01)) == [], "when it ends is not known"


@pytest.mark.parametrize(
    ("head", "prospect"),
    [
        (config(usdPerDay=0.01, enforce=False), PROSPECT),
        (config(), PROSPECT),
        (config(usdPerDay=0.01), Prospect("chat", trouble="silent")),
    ],
    ids=["only observed", "no budget", "unknown prices"],
)
def test_what_no_update_refuses_or_nobody_knows_is_not_refused(head: StackConfig, prospect: Prospect) -> None:
    assert said(head, prospect=prospect) == []


def test_an_edit_that_rents_nothing_is_not_refused() -> None:
    assert without_room([RUNS], config(usdPerDay=0.01), {"chat": PROSPECT}, standing(), AT, 1.0) == ()
