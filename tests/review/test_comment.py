"""The comment of a review: it reads as documented, keeps its bound, and shows what the head says as text only.

The numbers in the names are those of complaints about other programs that post plans into pull requests.
"""

import re

import pytest

from config.masking import HIDDEN
from config.stack import SECTIONS
from review.comment.fields import SHOWN
from review.comment.render import MOST, comment, marker, title
from review.report import (
    Action,
    Cause,
    FleetReview,
    ModelReview,
    OfferRow,
    Outcome,
    PeriodReview,
    PolicyResult,
    Review,
    Verdict,
)
from tests.doubles.markdown import active
from tests.doubles.reviews import example, instance


def test_it_reads_like_the_example_of_the_docs() -> None:
    assert comment(example()).body.splitlines()[:11] == [
        "<!-- gpu-fleet review dev -->",
        "### ⚠️ dev: 2 rented, 1 in place, 1 another machine · $1.34/h → $2.21/h (+$0.86)",
        (
            "Can be merged. At the ceilings it would exceed the budget of a day and this month. "
            "The running instances are as published on 2026-11-30 13:02 UTC."
        ),
        "",
        "| instance | what happens | because of | down for | $/h now → then |",
        "| --- | --- | --- | --- | --- |",
        "| `chat-2`, `chat-3` | **rented** | replicas `2` → `4` | – | – → 0.349, 0.358 (≤ 0.50) |",
        "| `batch-0` | **in place** | model `llama-3.1-8b` → `qwen3-8b` | while vLLM restarts, about 62 s | 0.462 |",
        (
            "| `rerank-0` | **another machine**, given back first | gpu.name `RTX 3090` → `RTX 4090` | about 7 min "
            "| 0.187 → 0.344 (≤ 0.45) |"
        ),
        "| `chat-0`, `chat-1` | unchanged |  |  | 0.342, 0.351 |",
        "",
    ]


def test_the_example_has_every_part_in_its_order() -> None:
    body = comment(example()).body
    parts = [
        "| instance",
        "| money",
        "<details><summary>Offers now",
        "<summary>Models",
        "**Risks**",
        "**Policy**",
        "<sub>",
    ]

    assert [body.index(part) for part in parts] == sorted(body.index(part) for part in parts)
    assert "| this month ($412.10 spent, 18 days left) | $991.84 | $1,365.09 | **$1,537.46** | $1,500.00 |" in body
    assert "| `chat` | 8123 | `RTX 4090` | `Germany, DE` | 0.349 | 99.4% | 812 | about 7 min |" in body
    assert "⚠️ runs code when it is loaded: `modeling.py`" in body
    assert active(body) == []


def test_complaint_1_a_comment_keeps_its_bound_with_200_instances_of_which_none_is_like_another() -> None:
    long = "x" * 200
    review = example().model_copy(
        update={
            "instances": tuple(
                instance(
                    f"{long}{index}-{index}",
                    list(Action)[index % 5],
                    *(Cause(key="image", old=f"{long}{index}", new=f"{long}{index}{each}") for each in range(9)),
                    now=index / 7,
                    then=index / 3,
                    down_seconds=index * 100.0,
                    down_why=long,
                )
                for index in range(200)
            ),
            "refusals": tuple(f"{index} {long}" for index in range(200)),
            "risks": tuple(f"{index} {long}" for index in range(200)),
            "policy": tuple(
                PolicyResult(rule=f"{index} {long}", outcome=Outcome.REFUSES, says=long) for index in range(200)
            ),
            "models": tuple(
                ModelReview(name=f"{long}{index}", added=(long,) * 9, flagged=(long,) * 9) for index in range(200)
            ),
            "fleets": tuple(
                FleetReview(
                    name=f"{long}{index}",
                    fitting=3,
                    offers=(OfferRow(offer_id=index, gpu=long, where=long, usd_per_hour=1),) * 3,
                    trouble=long,
                )
                for index in range(200)
            ),
        }
    )
    body = comment(review).body

    assert len(body) <= MOST
    assert re.search(r"\| and \d+ more instances \|", body)
    assert re.search(r"^- and \d+ more$", body, re.MULTILINE)
    left_out = int(re.findall(r"and (\d+) more instances", body)[0])
    assert left_out + body.count("| **") + body.count("| unchanged") - body.count("| **$") == 200


def test_many_new_instances_do_not_push_out_the_row_of_one_that_ends() -> None:
    crowd = [instance(f"{'x' * 40}{index}-0", Action.RENTED, Cause(key="replicas")) for index in range(200)]
    body = comment(
        Review(stack="dev", verdict=Verdict.FINE, instances=(*crowd, instance("chat-0", Action.GIVEN_BACK, now=0.3)))
    ).body

    assert "| `chat-0` | **given back** |" in body
    assert re.search(r"\| and \d+ more instances \|", body)


def test_complaint_2_the_marker_leads_the_comment_and_tells_stacks_apart() -> None:
    assert marker("dev") == "<!-- gpu-fleet review dev -->"
    assert marker("dev") != marker("dev2")
    assert "-->" not in marker("a --> b")[:-4]


@pytest.mark.parametrize("verdict", [Verdict.FINE, Verdict.WARNS, Verdict.MARKET_SILENT])
def test_complaint_3_it_is_silent_if_nothing_changes(verdict: Verdict) -> None:
    still = Review(stack="dev", verdict=verdict, instances=(instance("chat-0", Action.UNCHANGED, now=0.3),))
    over = PolicyResult(rule="worst case within budget", outcome=Outcome.WARNS, says="over", standing=True)

    assert comment(still.model_copy(update={"policy": (over,)})).body == ""
    assert comment(still).over_old.startswith("<!-- gpu-fleet review dev -->\n### ✅ dev: nothing changes any more")


@pytest.mark.parametrize(
    "more",
    [
        {"instances": (instance("chat-0", Action.RECORDED),)},
        {"refusals": ("chat: no offer fits",)},
        {"flagged": ("market.url",)},
        {"risks": ("budget.usdPerDay 60 → 600",)},
        {"policy": (PolicyResult(rule="policy itself", outcome=Outcome.WARNS, says="removed"),)},
        {"models": (ModelReview(name="m", new_digest="a"),)},
        {"verdict": Verdict.REFUSED},
    ],
)
def test_complaint_3_it_speaks_if_anything_changes(more: dict) -> None:
    assert comment(Review.model_validate({"stack": "dev", "verdict": Verdict.FINE, **more})).body


def test_complaint_4_the_verdict_is_the_first_line_that_is_seen_and_refusals_follow_it() -> None:
    review = example().model_copy(
        update={
            "verdict": Verdict.REFUSED,
            "refusals": (
                "rerank: no offer fulfils every wish; raise maxUsdPerHour from 0.25 to 0.344 (18 would match)",
            ),
        }
    )
    lines = comment(review).body.splitlines()

    assert lines[1].startswith("### ❌ dev: ")
    assert lines[2].startswith("Must not be merged as it is.")
    assert lines[4] == (
        "- ❌ rerank: no offer fulfils every wish; raise maxUsdPerHour from 0.25 to 0.344 (18 would match)"
    )
    assert "| `chat-2`, `chat-3` |" in lines[8], "the other fleets are still shown"


def test_complaint_5_no_output_of_the_stack_is_shown() -> None:
    assert not re.search(r"(?i)output|endpoints|tokens|ssh", comment(example()).body)


def test_complaint_8_a_key_that_is_not_listed_is_shown_by_name_only() -> None:
    review = Review(
        stack="dev",
        verdict=Verdict.FINE,
        instances=(
            instance(
                "chat-0",
                Action.IN_PLACE,
                Cause(key="environment.HF_TOKEN", old="hf_old", new="hf_new"),
                Cause(key="registry.password", old=HIDDEN, new=HIDDEN),
                Cause(key="a.key.of.tomorrow", new="hf_tomorrow"),
                Cause(key="image", old="https://me:hunter2secret@r.example/i", new=HIDDEN),
            ),
        ),
    )
    body = comment(review).body

    assert "hf_" not in body
    assert "hunter2secret" not in body
    assert "`environment.HF_TOKEN` changed, registry.password `[secret]`, a.key.of.tomorrow added" in body
    assert "image `https://me:[secret]@r.example/i` → `[secret]`" in body


def test_what_no_edit_causes_says_its_reason() -> None:
    drifted = instance("chat-0", Action.IN_PLACE, Cause(key="drift", new="what a refresh found"))
    body = comment(Review(stack="dev", verdict=Verdict.FINE, instances=(drifted,))).body

    assert "| drift: what a refresh found |" in body


def test_complaint_8_every_key_of_a_fleet_is_either_listed_or_known_to_be_shown_by_name() -> None:
    by_name = {"environment", "registry", "gpu", "rollout", "preflight", "lease"}
    by_name |= {"registry.server", "registry.user", "registry.password"}
    keys = {
        f"{path}.{field.alias or name}".removeprefix("fleets.<name>.")
        for path, model in SECTIONS.items()
        if path.startswith("fleets.<name>")
        for name, field in model.model_fields.items()
    }

    assert keys - SHOWN == by_name


def test_complaint_12_the_price_is_all_in_with_its_time_and_the_worst_case() -> None:
    body = comment(example()).body

    assert "Offers now (14:02 UTC; 31 fit" in body
    assert "$/h all-in" in body
    assert "(≤ 0.45)" in body
    assert "at the ceilings" in body


def test_complaint_13_what_is_not_known_is_unknown_and_never_nought() -> None:
    review = Review(
        stack="dev",
        verdict=Verdict.MARKET_SILENT,
        instances=(
            instance("chat-0", Action.ANOTHER_MACHINE, Cause(key="image"), now=0.3, ceiling=0.5, down_seconds=None),
            instance("chat-1", Action.RENTED, Cause(key="replicas", old="1", new="2"), ceiling=0.5),
            instance("chat-2", Action.UNCHANGED),
        ),
        fleets=(FleetReview(name="chat", trouble="the market did not answer in 30 s"),),
        models=(ModelReview(name="m", new_digest="a" * 64),),
        periods=(PeriodReview(name="a day", budget=60),),
    )
    body = comment(review).body

    assert title(review) == "### ❔ dev: 1 rented, 1 another machine · the price an hour is unknown"
    assert "0.300 → unknown (≤ 0.50)" in body
    assert "– → unknown (≤ 0.50)" in body
    assert "| unchanged |  |  | unknown |" in body
    assert "| a day | unknown | unknown | unknown | $60.00 |" in body
    assert "needs unknown a GPU, room unknown; what leaves the bucket at a start is unknown" in body
    assert "- ❔ `chat`: the market did not answer in 30 s" in body
    assert not re.search(r"\$0\.00|\b0\.000\b", body)


def test_complaint_13_a_revision_that_cannot_be_judged_shows_no_price() -> None:
    review = Review(stack="dev", verdict=Verdict.REFUSED, refusals=("gpu-fleet:fleets.chat.gpu is missing",))

    assert title(review) == "### ❌ dev: not judged, because the program refuses its config"
    assert "$" not in comment(review).body


def test_many_equal_instances_are_one_row_with_ranges() -> None:
    cause = Cause(key="replicas", old="2", new="57")
    rented = [instance(f"chat-{index}", Action.RENTED, cause, then=0.3 + index / 1000) for index in range(2, 57)]
    body = comment(Review(stack="dev", verdict=Verdict.FINE, instances=tuple(reversed(rented)))).body

    assert "| `chat-2 to chat-56` (55) | **rented** | replicas `2` → `57` | – | – → 0.302–0.356 |" in body
