# Long because each field of a review has a way to be worse.
"""What an apply compares: nothing that is worse than approved passes, and what was approved passes as it is."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from providers.engine_events import Step
from providers.vast.pulumi_state import INSTANCE
from review.applying import (
    LESS,
    PRICE_DRIFT,
    RENTS,
    Rented,
    differences,
    rented_of,
    unplanned,
)
from review.approved import Approved, UnreadableReview, read_approved
from review.report import (
    Action,
    Binding,
    InstanceReview,
    Outcome,
    PeriodReview,
    PolicyResult,
    Price,
    Review,
    Verdict,
)

NOW = 1_800_000_000.0
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
USD = st.floats(0.001, 50, allow_nan=False)
PERIODS = ("a day", "this month", "a month of 730 h, always on")
RULES = ("verified hosts", "image pinned", "worst case over budget")


@st.composite
def instances(draw: st.DrawFn) -> tuple[InstanceReview, ...]:
    names = draw(st.lists(st.sampled_from([f"chat-{n}" for n in range(6)]), unique=True))
    found = []
    for name in names:
        action = draw(st.sampled_from(Action))
        then, above = draw(USD), draw(st.none() | st.floats(0, 5))
        price = Price(now=draw(st.none() | USD), then=then, ceiling=None if above is None else then + above)
        found.append(InstanceReview(name=name, fleet="chat", action=action, usd_per_hour=price))
    return tuple(found)


@st.composite
def periods(draw: st.DrawFn) -> tuple[PeriodReview, ...]:
    found = []
    for name in draw(st.lists(st.sampled_from(PERIODS), unique=True)):
        expected = draw(USD)
        ceiling, budget = expected + draw(st.floats(0, 20)), draw(st.none() | USD)
        found.append(PeriodReview(name=name, now=draw(USD), expected=expected, ceiling=ceiling, budget=budget))
    return tuple(found)


@st.composite
def reviews(draw: st.DrawFn) -> Review:
    """Reviews that may be approved."""
    digests = [draw(DIGESTS) for _ in range(5)]
    rules = draw(st.lists(st.sampled_from(RULES), unique=True))
    return Review(
        stack="dev",
        verdict=draw(st.sampled_from([Verdict.FINE, Verdict.WARNS])),
        instances=draw(instances()),
        periods=draw(periods()),
        policy=tuple(PolicyResult(rule=rule, outcome=draw(st.sampled_from(Outcome)), says="") for rule in rules),
        flagged=tuple(draw(st.lists(st.sampled_from(["market.url", "a path"]), unique=True))),
        binding=Binding(
            **dict(zip(("base", "head", "config", "manifests", "program"), digests, strict=True)),
            at=NOW - draw(st.floats(0, 86_000)),
        ),
    )


def approved(review: Review) -> Approved:
    """Write the file and read it, as an approval does."""
    return read_approved(json.dumps(review.to_json("the comment")).encode())


@given(reviews())
def test_what_was_approved_is_applied_as_it_is(review: Review) -> None:
    assert differences(approved(review), review, NOW) == ()


@given(reviews(), st.data())
def test_less_than_was_approved_passes(review: Review, data: st.DataObject) -> None:
    fewer = [
        one.model_copy(update={"action": data.draw(st.sampled_from([one.action, *LESS[one.action]]))})
        for one in review.instances
        if one.action is not Action.GIVEN_BACK or data.draw(st.booleans())
    ]
    cheaper = [
        one.model_copy(update={"usd_per_hour": one.usd_per_hour.model_copy(update={"then": one.usd_per_hour.then})})
        for one in fewer
    ]
    fresh = review.model_copy(update={"instances": tuple(cheaper), "verdict": Verdict.FINE, "flagged": ()})

    assert differences(approved(review), fresh, NOW) == ()


@given(reviews(), st.floats(-0.9, PRICE_DRIFT - 0.001))
def test_a_price_within_the_drift_passes(review: Review, by: float) -> None:
    fresh = review.model_copy(update={"instances": tuple(priced(one, then=1 + by) for one in review.instances)})

    assert differences(approved(review), fresh, NOW) == ()


def priced(one: InstanceReview, then: float) -> InstanceReview:
    assert one.usd_per_hour.then is not None
    price = one.usd_per_hour.model_copy(update={"then": one.usd_per_hour.then * then})
    return one.model_copy(update={"usd_per_hour": price})


# Each makes one field of a review worse, or returns None if this review lacks the field.
def other_digest(review: Review, draw: Any) -> Review | None:
    assert review.binding is not None
    key, value = draw(st.sampled_from(["config", "manifests", "program"])), draw(DIGESTS)
    if getattr(review.binding, key) == value:
        return None
    return review.model_copy(update={"binding": review.binding.model_copy(update={key: value})})


def no_binding(review: Review, draw: Any) -> Review | None:
    return review.model_copy(update={"binding": None})


def other_stack(review: Review, draw: Any) -> Review | None:
    return review.model_copy(update={"stack": "prod"})


def worse_verdict(review: Review, draw: Any) -> Review | None:
    bad = [Verdict.REFUSED, Verdict.NOT_AS_REVIEWED, Verdict.MARKET_SILENT]
    return review.model_copy(
        update={"verdict": draw(st.sampled_from([*bad, *([Verdict.WARNS] if review.verdict is Verdict.FINE else [])]))}
    )


def a_refusal(review: Review, draw: Any) -> Review | None:
    return review.model_copy(update={"refusals": ("rerank: no offer fulfils every wish",)})


def a_flag(review: Review, draw: Any) -> Review | None:
    return review.model_copy(update={"flagged": (*review.flagged, "store.endpoint")})


def changed(review: Review, draw: Any, **update: Any) -> Review | None:
    if not review.instances:
        return None
    number = draw(st.integers(0, len(review.instances) - 1))
    rows = list(review.instances)
    rows[number] = rows[number].model_copy(update=update)
    return review.model_copy(update={"instances": tuple(rows)})


def worse_action(review: Review, draw: Any) -> Review | None:
    if not review.instances:
        return None
    number = draw(st.integers(0, len(review.instances) - 1))
    rows, one = list(review.instances), review.instances[number]
    action = draw(st.sampled_from([action for action in Action if action not in (one.action, *LESS[one.action])]))
    rows[number] = one.model_copy(update={"action": action})
    return review.model_copy(update={"instances": tuple(rows)})


def another_instance(review: Review, draw: Any) -> Review | None:
    action = draw(st.sampled_from([action for action in Action if action is not Action.UNCHANGED]))
    one = InstanceReview(name="chat-9", fleet="chat", action=action, usd_per_hour=Price(then=0.1))
    return review.model_copy(update={"instances": (*review.instances, one)})


def a_missing_instance(review: Review, draw: Any) -> Review | None:
    kept = [one for one in review.instances if one.action is Action.GIVEN_BACK]
    return None if len(kept) == len(review.instances) else review.model_copy(update={"instances": tuple(kept)})


def rented_at(review: Review, draw: Any, **update: Any) -> Review | None:
    numbers = [number for number, one in enumerate(review.instances) if one.action in RENTS]
    if not numbers:
        return None
    number = draw(st.sampled_from(numbers))
    rows, one = list(review.instances), review.instances[number]
    price = {key: value(one.usd_per_hour) for key, value in update.items()}
    rows[number] = one.model_copy(update={"usd_per_hour": one.usd_per_hour.model_copy(update=price)})
    return review.model_copy(update={"instances": tuple(rows)})


def dearer(review: Review, draw: Any) -> Review | None:
    by = draw(st.floats(PRICE_DRIFT + 0.001, 10))
    return rented_at(review, draw, then=lambda price: price.then * (1 + by))


def unknown_price(review: Review, draw: Any) -> Review | None:
    return rented_at(review, draw, then=lambda _price: draw(st.sampled_from([None, float("nan")])))


def higher_ceiling(review: Review, draw: Any) -> Review | None:
    return rented_at(review, draw, ceiling=lambda price: (price.ceiling or 0) + draw(st.floats(0.001, 10)))


def no_ceiling(review: Review, draw: Any) -> Review | None:
    fresh = rented_at(review, draw, ceiling=lambda _price: None)
    return None if fresh == review else fresh


def in_period(review: Review, draw: Any, **update: Any) -> Review | None:
    if not review.periods:
        return None
    number = draw(st.integers(0, len(review.periods) - 1))
    rows, one = list(review.periods), review.periods[number]
    made = {key: value(one) for key, value in update.items()}
    if any(value == getattr(one, key) for key, value in made.items()):
        return None
    rows[number] = one.model_copy(update=made)
    return review.model_copy(update={"periods": tuple(rows)})


def other_budget(review: Review, draw: Any) -> Review | None:
    return in_period(review, draw, budget=lambda one: draw(st.none() | st.floats(0.001, 100)))


def unknown_cost(review: Review, draw: Any) -> Review | None:
    key = draw(st.sampled_from(["expected", "ceiling"]))
    return in_period(review, draw, **{key: lambda _one: None})


def over_budget(review: Review, draw: Any) -> Review | None:
    key = draw(st.sampled_from(["expected", "ceiling"]))
    rows = list(review.periods)
    within = [n for n, one in enumerate(rows) if one.budget is not None and getattr(one, key) <= one.budget]
    if not within:
        return None
    number = draw(st.sampled_from(within))
    rows[number] = rows[number].model_copy(update={key: (rows[number].budget or 0) + draw(st.floats(0.01, 100))})
    return review.model_copy(update={"periods": tuple(rows)})


def a_missing_period(review: Review, draw: Any) -> Review | None:
    return review.model_copy(update={"periods": review.periods[1:]}) if review.periods else None


def another_budget(review: Review, draw: Any) -> Review | None:
    return review.model_copy(update={"periods": (*review.periods, PeriodReview(name="a week", budget=draw(USD)))})


def worse_policy(review: Review, draw: Any) -> Review | None:
    rows = list(review.policy)
    numbers = [number for number, one in enumerate(rows) if one.outcome is not Outcome.REFUSES]
    if not numbers:
        return None
    number = draw(st.sampled_from(numbers))
    worse = [Outcome.REFUSES] if rows[number].outcome is Outcome.WARNS else [Outcome.WARNS, Outcome.REFUSES]
    rows[number] = rows[number].model_copy(update={"outcome": draw(st.sampled_from(worse))})
    return review.model_copy(update={"policy": tuple(rows)})


def a_new_rule(review: Review, draw: Any) -> Review | None:
    outcome = draw(st.sampled_from([Outcome.WARNS, Outcome.REFUSES]))
    return review.model_copy(
        update={"policy": (*review.policy, PolicyResult(rule="regions", outcome=outcome, says=""))}
    )


def a_rule_less(review: Review, draw: Any) -> Review | None:
    return review.model_copy(update={"policy": review.policy[1:]}) if review.policy else None


WORSE = (
    *(other_digest, no_binding, other_stack, worse_verdict, a_refusal, a_flag, worse_action, another_instance),
    *(a_missing_instance, dearer, unknown_price, higher_ceiling, no_ceiling, other_budget, unknown_cost, over_budget),
    *(a_missing_period, another_budget, worse_policy, a_new_rule, a_rule_less),
)


@pytest.mark.parametrize("worse", WORSE, ids=lambda one: one.__name__)
def test_a_review_that_is_worse_in_one_field_is_never_accepted(worse: Any) -> None:
    @settings(max_examples=30, suppress_health_check=[HealthCheck.filter_too_much])
    @given(reviews(), st.data())
    def never(review: Review, data: st.DataObject) -> None:
        fresh = worse(review, data.draw)
        assume(fresh is not None)  # hypothesis fails if no review that it draws has the field
        assert fresh is not None
        assert differences(approved(review), fresh, NOW) != ()

    never()


@given(reviews(), st.floats(0, 1e9))
def test_an_approval_ends_after_a_day_whatever_the_file_allows_itself(review: Review, hours: float) -> None:
    assert review.binding is not None
    longer = review.binding.model_copy(update={"valid_hours": hours, "price_drift": 1e9})
    file = approved(review.model_copy(update={"binding": longer}))

    late = differences(file, review, longer.at + min(hours, 24) * 3600 + 1)
    early = differences(file, review, longer.at - 301)
    twice = tuple(priced(one, then=1.16) for one in review.instances)

    assert any("hours ago" in one for one in late)
    assert any("which is to come" in one for one in early)
    if any(one.action in RENTS for one in review.instances):
        assert any("may rise" in one for one in differences(file, review.model_copy(update={"instances": twice}), NOW))


@pytest.mark.parametrize("verdict", [Verdict.REFUSED, Verdict.MARKET_SILENT, Verdict.NOT_AS_REVIEWED])
def test_an_edit_that_was_not_fine_is_not_applied(verdict: Verdict) -> None:
    review = Review(stack="dev", verdict=verdict, binding=binding())

    said = differences(approved(review), review.model_copy(update={"verdict": Verdict.FINE}), NOW)
    assert said == (f"The approved review says {verdict.value}: such an edit is not applied.",)


def binding() -> Binding:
    return Binding(base="b", head="h", config="c" * 64, manifests="m" * 64, program="p" * 64, at=NOW)


def test_a_slot_of_an_elastic_fleet_comes_and_goes_without_an_approval() -> None:
    slot = InstanceReview(name="burst-s0", fleet="burst", action=Action.GIVEN_BACK)
    without = Review(stack="dev", verdict=Verdict.FINE, binding=binding())
    with_slot = without.model_copy(update={"instances": (slot.model_copy(update={"action": Action.UNCHANGED}),)})

    assert differences(approved(without), with_slot, NOW) == ()
    assert differences(approved(with_slot), without, NOW) == ()


def test_each_difference_is_a_sentence_with_both_values() -> None:
    def of(price: float, action: Action = Action.RENTED) -> Review:
        one = InstanceReview(name="chat-2", fleet="chat", action=action, usd_per_hour=Price(then=price, ceiling=0.5))
        day = PeriodReview(name="a day", expected=24 * price, ceiling=12.0, budget=10.0)
        return Review(stack="dev", verdict=Verdict.FINE, instances=(one,), periods=(day,), binding=binding())

    assert differences(approved(of(0.349)), of(0.45), NOW) == (
        "chat-2: $0.450/h now, $0.349/h when it was approved, more than the 15% that a price may rise.",
        "a day would cost $10.80 (expected), over its budget of $10.00; approved: $8.38.",
    )
    assert differences(approved(of(0.349, Action.UNCHANGED)), of(0.349), NOW) == (
        "chat-2: it would be rented; approved: unchanged.",
    )


def test_a_file_that_is_no_review_is_refused_in_a_sentence_without_its_values() -> None:
    whole = Review(stack="dev", verdict=Verdict.FINE, binding=binding()).to_json("")
    one = {"name": "a-0", "action": "rented", "usdPerHour": {"then": 0.1}}
    for data, says in (
        (b"{", "the whole of it"),
        (json.dumps({**whole, "binding": None}).encode(), "binding"),
        (json.dumps({**whole, "verdict": "sk-secret"}).encode(), "verdict"),
        (json.dumps({**whole, "instances": [one, one]}).encode(), "names an instance twice"),
        (json.dumps({**whole, "instances": [{**one, "name": "a\n::error::x"}]}).encode(), "instances.0.name"),
        (json.dumps({**whole, "instances": [{**one, "usdPerHour": {"then": -1}}]}).encode(), "usdPerHour.then"),
        (b" " * 4_000_001, "4000000 at most"),
    ):
        with pytest.raises(UnreadableReview, match=says) as raised:
            read_approved(data)
        assert "sk-secret" not in str(raised.value)


def test_a_key_of_a_later_version_is_passed_over() -> None:
    review = Review(stack="dev", verdict=Verdict.FINE, binding=binding())

    assert read_approved(json.dumps({**review.to_json(""), "later": 1}).encode()).stack == "dev"


OPERATIONS = (
    "create",
    "create-replacement",
    "replace",
    "delete-replaced",
    "delete",
    "update",
    "same",
    "import",
    "read",
)


@given(st.sampled_from(Action), st.sampled_from(OPERATIONS))
def test_a_plan_rents_and_gives_back_only_what_the_review_shows(action: Action, operation: str) -> None:
    review = Review(
        stack="dev", verdict=Verdict.FINE, instances=(InstanceReview(name="chat-0", fleet="chat", action=action),)
    )

    said = unplanned(review, [Step("chat-0", INSTANCE, operation)])

    if operation == "create":
        assert (said == ()) == (action is Action.RENTED)
    if operation == "delete":
        assert (said == ()) == (action is Action.GIVEN_BACK)
    if "replace" in operation:
        assert (said == ()) == (action is Action.ANOTHER_MACHINE)
    if operation in ("import", "read"):
        assert said != ()
    assert operation != "same" or said == ()
    assert unplanned(review, [Step("chat-0", "dynamic/store:Bucket", operation)]) == ()


def test_an_instance_that_the_review_does_not_name_is_not_rented() -> None:
    said = unplanned(Review(stack="dev", verdict=Verdict.FINE), [Step("chat-7", INSTANCE, "create")])

    assert said == ("chat-7: the plan would rent it; the review does not name it.",)


def test_what_was_rented_has_its_charge_beside_what_was_shown() -> None:
    one = InstanceReview(name="chat-2", fleet="chat", action=Action.RENTED, usd_per_hour=Price(then=0.349, ceiling=0.5))
    file = approved(Review(stack="dev", verdict=Verdict.FINE, instances=(one,), binding=binding()))
    steps = [
        Step("chat-2", INSTANCE, "create", {"instanceId": 7.0, "chargedUsdPerHour": 0.35, "token": "sk-secret"}),
        Step("chat-3", INSTANCE, "create", failed=True),
        Step("chat-0", INSTANCE, "update", {"instanceId": 5}),
        Step("store", "dynamic/store:Bucket", "create"),
    ]

    assert rented_of(steps, file) == (Rented(name="chat-2", instance_id=7, charged=0.35, shown=0.349, ceiling=0.5),)
