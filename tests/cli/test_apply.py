"""`gpu-fleet apply` in its order: look, compare, plan, compare the plan, update; and what it says where it stops.

The numbers in the names are those of complaints about other programs that post plans into pull requests.
"""

import io
import json
import stat
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from cli.apply import NOTHING, Applying, Outcome, described, refuse_other_history
from cli.errors import CommandError
from cli.main import root
from providers.engine_events import Event, parse
from providers.vast.pulumi_state import INSTANCE
from review.approved import read_approved
from review.report import Action, Binding, Exit, InstanceReview, Price, Review, Verdict

NOW = 1_800_000_000.0
BINDING = Binding(base="b", head="h", config="c" * 64, manifests="m" * 64, program="p" * 64, at=NOW)


def reviewed(action: Action = Action.RENTED, then: float = 0.349) -> Review:
    one = InstanceReview(name="chat-2", fleet="chat", action=action, usd_per_hour=Price(then=then, ceiling=0.5))
    return Review(stack="dev", verdict=Verdict.FINE, instances=(one,), binding=BINDING)


def did(operation: str, name: str = "chat-2", failed: bool = False, **outputs: Any) -> dict[str, Any]:
    metadata = {"urn": f"urn:pulumi:dev::gpu-fleet::x::{name}", "type": INSTANCE, "op": operation}
    if failed:
        return {"resOpFailedEvent": {"metadata": metadata}}
    return {"resOutputsEvent": {"metadata": {**metadata, "new": {"outputs": {**outputs, "token": "sk-secret"}}}}}


def troubled(text: str) -> dict[str, Any]:
    return {"diagnosticEvent": {"severity": "error", "message": text, "urn": "urn:pulumi:dev::gpu-fleet::x::chat-3"}}


RENTED = did("create", instanceId=77, chargedUsdPerHour=0.352, endpoint="https://192.0.2.1:1")


@dataclass
class Engine:
    """An engine that plays what it is given; by the first word of a command: its lines and its exit status."""

    plays: dict[str, tuple[Sequence[dict[str, Any]], int]]
    called: list[list[str]] = field(default_factory=list)
    plans: list[Path] = field(default_factory=list)

    def __call__(self, words: Sequence[str], take: Callable[[Event | None], None]) -> tuple[int, str]:
        self.called.append(list(words))
        flag = "--save-plan" if words[0] == "preview" else "--plan"
        plan = Path(words[words.index(flag) + 1])
        if words[0] == "preview":
            assert stat.S_IMODE(plan.parent.stat().st_mode) == 0o700
            plan.write_text("the plan")
        assert plan.read_text() == "the plan"
        self.plans.append(plan)
        lines, status = self.plays[words[0]]
        for line in lines:
            take(parse(json.dumps(line)))
        return status, ""


def applied(engine: Engine, fresh: Review, approved: Review | None = None) -> tuple[Outcome, str, int]:
    """Apply; return the outcome, what was printed meanwhile, and how often what runs was published."""
    out, published = io.StringIO(), []
    file = read_approved(json.dumps((approved or reviewed()).to_json("")).encode())
    console = Console(file=out, highlight=False, width=200)
    outcome = Applying("dev", file, lambda: fresh, lambda: published.append(1), engine, lambda: NOW, console).run()
    assert [plan for plan in engine.plans if plan.exists() or plan.parent.exists()] == [], "the plan is gone"
    assert "sk-secret" not in out.getvalue() + "\n".join(described("dev", outcome))
    return outcome, out.getvalue(), len(published)


def test_complaints_9_and_10_the_plan_is_made_carried_out_and_forgotten_in_one_go() -> None:
    engine = Engine({"preview": ([did("create")], 0), "up": ([RENTED], 0)})

    outcome, said, published = applied(engine, reviewed())

    assert [words[:3] for words in engine.called] == [["preview", "--stack", "dev"], ["up", "--stack", "dev"]]
    assert engine.plans[0] == engine.plans[1]
    assert outcome.status == Exit.FINE
    assert published == 1
    assert said == "chat-2  online  https://192.0.2.1:1\n"
    assert [" ".join(line.split()) for line in described("dev", outcome)] == [
        "rented market id charged $/h shown $/h ceiling $/h",
        "chat-2 77 $0.352 $0.349 $0.500",
        "Applied to stack dev as approved: 1 rented.",
    ]


def test_a_review_that_is_worse_now_calls_no_engine() -> None:
    engine = Engine({})

    outcome, _, published = applied(engine, reviewed(then=0.45))

    assert outcome.status == Exit.NOT_AS_REVIEWED
    assert outcome.sentences[-1] == NOTHING
    assert engine.called == []
    assert published == 0
    assert described("dev", outcome)[0].startswith("- chat-2: $0.450/h now, $0.349/h when it was approved")


def test_a_plan_that_cannot_be_made_changes_nothing() -> None:
    engine = Engine({"preview": ([troubled("no offer fulfils every wish")], 1)})

    outcome, _, _ = applied(engine, reviewed())

    assert outcome == Outcome(Exit.REFUSED, ("chat-3: no offer fulfils every wish", NOTHING))
    assert [words[0] for words in engine.called] == ["preview"]


def test_a_plan_that_does_more_than_was_shown_is_not_carried_out() -> None:
    engine = Engine({"preview": ([did("create"), did("create", "chat-0")], 0)})

    outcome, _, published = applied(engine, reviewed())

    assert outcome.status == Exit.NOT_AS_REVIEWED
    assert outcome.sentences == ("chat-0: the plan would rent it; the review does not name it.", NOTHING)
    assert [words[0] for words in engine.called] == ["preview"]
    assert published == 0


VIOLATION = "resource urn:pulumi:dev::gpu-fleet::x::chat-3 violates plan: properties changed: +-replicas"


@pytest.mark.parametrize(
    ("text", "ends", "why"),
    [
        (VIOLATION, Exit.NOT_AS_REVIEWED, "The update left its plan and ended midway."),
        ("expected resource operations for x but none were seen", Exit.NOT_AS_REVIEWED, "The update left its plan"),
        ("the market does not answer", Exit.REFUSED, "The update failed."),
    ],
)
def test_an_update_that_ends_midway_says_what_was_rented_and_publishes_it(text: str, ends: Exit, why: str) -> None:
    engine = Engine(
        {"preview": ([did("create")], 0), "up": ([RENTED, did("create", "chat-3", True), troubled(text)], 1)}
    )

    outcome, _, published = applied(engine, reviewed())

    assert outcome.status == ends
    assert published == 1
    assert outcome.sentences[0] == f"chat-3: {text}"
    assert outcome.sentences[-1].startswith(why)
    assert "It rented chat-2, $0.352/h together: they serve and stay." in outcome.sentences[-1]
    assert [one.name for one in outcome.rented] == ["chat-2"]


def test_an_update_that_rented_nothing_says_where_to_look() -> None:
    engine = Engine({"preview": ([did("create")], 0), "up": ([troubled("the market does not answer")], 1)})

    assert "`gpu-fleet sweep`" in applied(engine, reviewed())[0].sentences[-1]


def test_a_file_that_is_no_review_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "review.json").write_text('{"stack": "dev"}')

    done = CliRunner().invoke(root, ["apply", "--stack", "dev", "--reviewed", str(tmp_path / "review.json")])

    assert done.exit_code == Exit.USAGE
    assert "is no approved review: verdict: Field required" in done.output


def test_a_review_of_another_history_is_not_applied(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        name = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        done = subprocess.run(["git", *name, *words], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "--quiet", ".")
    commits = []
    for text in ("one", "two"):
        git("commit", "--quiet", "--allow-empty", "-m", text)
        commits.append(git("rev-parse", "HEAD"))
    git("checkout", "--quiet", "--detach", commits[0])

    refuse_other_history(commits[0], tmp_path)
    for other in (commits[1], "f" * 40, "--help", "HEAD"):
        with pytest.raises(CommandError, match=r"does not come from it\. Nothing was rented") as raised:
            refuse_other_history(other, tmp_path)
        assert raised.value.exit_code == Exit.NOT_AS_REVIEWED


def test_a_sentence_is_one_line_whatever_config_holds() -> None:
    outcome = Outcome(Exit.NOT_AS_REVIEWED, ("Not seen when it was approved: x\n::error::y\u202ez",))

    assert described("dev", outcome) == ["- Not seen when it was approved: x ::error::y z"]
