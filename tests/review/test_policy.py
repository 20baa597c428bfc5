"""Rules of policy: what the edit makes worse is refused, what the base branch violates already is a warning."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.policy import PolicyConfig
from review.policy import RULES, judge
from review.report import Outcome, PeriodReview
from tests.doubles.revisions import PINNED, config, manifest, revision

ALL = {
    "verifiedHosts": True,
    "pinnedImages": True,
    "regions": ["EU", "US"],
    "gpus": ["RTX 4090", "RTX 3090"],
    "maxUsdPerHour": 0.6,
    "maxFleetUsdPerHour": 2.0,
    "maxReplicas": 4,
    "manifests": True,
}
POLICY = PolicyConfig.model_validate(ALL)
UNCHANGED = {"policy": ALL}


def outcomes(
    head: Mapping[str, Any], base: Mapping[str, Any] | None = None, policy: PolicyConfig = POLICY
) -> dict[str, tuple[Outcome, str]]:
    found = judge(policy, revision({**UNCHANGED, **(base or {})}), revision({**UNCHANGED, **head}))
    return {one.rule: (one.outcome, one.says) for one in found}


def test_without_the_section_nothing_is_judged() -> None:
    assert judge(None, revision(), revision({"fleets.chat.verified": False})) == ()


def test_a_section_without_rules_judges_nothing_but_the_budget() -> None:
    assert (
        judge(PolicyConfig(), revision({"policy": {}}), revision({"policy": {}, "fleets.chat.verified": False})) == ()
    )


def test_a_good_edit_passes_every_rule() -> None:
    found = outcomes({"fleets.chat.replicas": 4})

    assert set(found) == {rule.name for rule in RULES}
    assert {outcome for outcome, _ in found.values()} == {Outcome.OK}


@pytest.mark.parametrize(
    ("rule", "edit", "says"),
    [
        ("verified hosts", {"fleets.chat.verified": False}, "chat takes unverified hosts"),
        ("images pinned", {"fleets.chat.image": "vllm/vllm-openai:v9"}, "chat has an image without a digest"),
        ("regions", {"fleets.chat.regions": ["DE", "China"]}, "chat may stand in CN"),
        ("regions", {"fleets.chat.regions": []}, "chat names no regions, so its machines may stand anywhere"),
        ("GPUs", {"fleets.chat.gpu.name": ["RTX 4090", "L4"]}, "chat may take the GPU L4"),
        ("price of an instance", {"fleets.chat.maxUsdPerHour": 0.61}, "chat may cost $0.610/h, over $0.600/h"),
        ("price of a fleet", {"fleets.chat.replicas": 5}, "chat may cost $2.500/h together, over $2.000/h"),
        ("replicas", {"fleets.chat.replicas": {"max": 5}}, "chat may have 5 instances, over 4"),
    ],
)
def test_what_the_edit_violates_is_refused(rule: str, edit: dict[str, Any], says: str) -> None:
    assert outcomes(edit)[rule] == (Outcome.REFUSES, says)


@pytest.mark.parametrize(
    ("rule", "edit"),
    [
        ("verified hosts", {"fleets.chat.verified": False}),
        ("images pinned", {"fleets.chat.image": "vllm/vllm-openai:v9"}),
        ("regions", {"fleets.chat.regions": []}),
        ("GPUs", {"fleets.chat.gpu.name": "L4"}),
        ("price of an instance", {"fleets.chat.maxUsdPerHour": 0.61}),
        ("price of a fleet", {"fleets.chat.replicas": 5}),
        ("replicas", {"fleets.chat.replicas": 5}),
    ],
)
def test_what_the_base_branch_violates_already_is_a_warning_and_blocks_no_other_edit(
    rule: str, edit: dict[str, Any]
) -> None:
    outcome, says = outcomes({**edit, "fleets.rerank.diskGb": 64}, base=edit)[rule]

    assert outcome is Outcome.WARNS
    assert says.endswith("as on the base branch")


def test_a_violation_that_gets_smaller_is_a_warning_and_one_that_grows_is_refused() -> None:
    def price(usd: float) -> dict[str, Any]:
        return {"fleets.chat.maxUsdPerHour": usd}

    assert outcomes(price(0.7), base=price(0.8))["price of an instance"][0] is Outcome.WARNS
    assert outcomes(price(0.9), base=price(0.8))["price of an instance"][0] is Outcome.REFUSES


def test_the_policy_of_the_head_judges_nothing_and_its_edit_is_a_warning() -> None:
    weak = {**ALL, "verifiedHosts": False, "maxReplicas": 400}
    found = outcomes({"policy": weak, "fleets.chat.verified": False})

    assert found["verified hosts"][0] is Outcome.REFUSES
    assert found["policy itself"] == (Outcome.WARNS, "the edit changes verifiedHosts, maxReplicas for later edits")
    removed = judge(POLICY, revision(UNCHANGED), revision())
    assert removed[-1].says == "the edit removes the policy for later edits"


def test_manifests_are_committed_describe_the_model_and_hold_no_code() -> None:
    def says(**manifests: Any) -> str:
        found = judge(POLICY, revision(UNCHANGED), revision(UNCHANGED, **manifests))
        return next(one.says for one in found if one.rule == "manifests")

    assert says(small=None) == "small has no committed manifest that can be read"
    assert says(small=manifest(about=None)) == "small's manifest does not say what the model is"
    assert says(small=manifest(a__BIN=3)) == "small has a.BIN, which runs code"
    assert says(large=None) == "", "no fleet serves it"


def test_a_new_stack_has_no_base_to_excuse_it() -> None:
    found = judge(POLICY, None, revision({**UNCHANGED, "fleets.chat.verified": False}))

    assert found[0].outcome is Outcome.REFUSES


@pytest.mark.parametrize(
    ("budget", "ceiling", "outcome"),
    [
        ("warn", 62.5, Outcome.WARNS),
        ("refuse", 62.5, Outcome.REFUSES),
        ("refuse", 60.0, Outcome.OK),
        ("refuse", None, Outcome.WARNS),
        ("ignore", 62.5, None),
    ],
)
def test_the_worst_case_is_compared_with_the_budget_and_unknown_is_never_within(
    budget: Any, ceiling: float | None, outcome: Outcome | None
) -> None:
    period = PeriodReview(name="a day", now=1, expected=2, ceiling=ceiling, budget=60)
    endless = PeriodReview(name="a month of 730 h, always on", ceiling=9999)
    policy = PolicyConfig(budget=budget)
    found = judge(policy, None, revision({"policy": {"budget": budget}}), [period, endless])

    assert [one.outcome for one in found] == ([outcome] if outcome else [])


def worst(head: dict[str, Any], ceiling: float, budget: float | None, base: dict[str, Any]) -> tuple[Outcome, str]:
    period = PeriodReview(name="a day", ceiling=ceiling, budget=budget)
    policy = PolicyConfig(budget="refuse")
    found = judge(policy, revision(base), revision({**base, **head}), [period])
    return next((one.outcome, one.says) for one in found if one.rule == "worst case within budget")


def test_an_edit_cannot_raise_or_remove_the_budget_that_judges_it() -> None:
    base = {"budget": {"usdPerDay": 10}, "policy": {"budget": "refuse"}}
    more = {"fleets.chat.replicas": 9}
    says = "a day may cost $74.40 of $10.00, the base branch's budget"

    assert worst({**more, "budget": {"usdPerDay": 100}}, 74.4, 100, base) == (Outcome.REFUSES, says)
    assert worst({**more, "budget": None}, 74.4, None, base) == (Outcome.REFUSES, says)
    assert worst({**more, "budget": {"usdPerDay": 5}}, 8, 5, base) == (Outcome.REFUSES, "a day may cost $8.00 of $5.00")


def test_a_budget_can_be_raised_by_an_edit_of_its_own() -> None:
    base = {"budget": {"usdPerDay": 10}, "policy": {"budget": "refuse"}}

    assert worst({"budget": {"usdPerDay": 100}}, 31.2, 100, base)[0] is Outcome.WARNS
    assert worst({"fleets.chat.replicas": 1}, 19.2, 10, base)[0] is Outcome.WARNS, "it makes the worst case better"


@given(
    verified=st.booleans(),
    price=st.floats(0.1, 5),
    replicas=st.integers(0, 9),
    regions=st.lists(st.sampled_from(["DE", "US", "CN", "EU"]), max_size=3),
    image=st.sampled_from([PINNED, "vllm/vllm-openai:v9"]),
)
def test_no_edit_is_refused_for_what_it_leaves_as_it_was(**drawn: Any) -> None:
    edit = {
        "fleets.chat.verified": drawn["verified"],
        "fleets.chat.maxUsdPerHour": drawn["price"],
        "fleets.chat.replicas": drawn["replicas"],
        "fleets.chat.regions": drawn["regions"],
        "fleets.chat.image": drawn["image"],
    }

    assert Outcome.REFUSES not in {outcome for outcome, _ in outcomes(edit, base=edit).values()}


def test_a_region_of_the_policy_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="Atlantis is not understood"):
        config({"policy": {"regions": ["Atlantis"]}})
