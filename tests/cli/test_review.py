"""`gpu-fleet review` and `gpu-fleet standing` as an operator and a workflow call them."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from bootstrap.kit import KitError
from cli.context import CommandContext, ledger_alone, open_context
from cli.errors import CommandError
from cli.main import root
from cli.standing import applied_kit, machines_known, published, spent_this_month
from providers.ledger.event import Outcome
from providers.vast.pulumi_state import BackendError
from review.kit_sources import kit_of
from review.report import Action, Verdict
from review.revision import read_revision
from review.standing import StandingUnreadable, read_standing, recorded_of
from review.standing_file import standing_text
from review.tree import open_tree
from sandbox.testing import RunningMarket, running_market
from tests.doubles.dynamic_process import ROOT
from tests.doubles.ledger_events import event
from tests.doubles.reviewed_repository import CONFIG, Repository, manifest
from tests.doubles.reviewing import STANDING
from weights.manifest import Manifest


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    found = Repository(tmp_path / "project")
    found.silence_market()
    monkeypatch.chdir(found.folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("VAST_REVIEW_KEY", "VAST_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return found


def reviewed(*words: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(root, ["review", *words], env=env)


def of_json(*words: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    found = reviewed(*words, "--json", env=env)
    answer: dict[str, Any] = json.loads(found.stdout)
    assert answer["exit"] == found.exit_code
    return answer


def published_lately(folder: Path) -> str:
    """Write what runs, as of now, and return the file's path."""
    place = folder / "standing.json"
    place.write_text(STANDING.model_copy(update={"at": time.time()}).to_json())
    return str(place)


def test_an_edit_before_its_commit_is_reviewed_without_any_option(repository: Repository) -> None:
    repository.commit()
    repository.set("fleets.chat.vllmArguments", ["--seed", "1"])
    repository.write_config()
    found = reviewed()

    assert found.exit_code == 2, found.output
    assert "in place" in found.output
    assert "vllmArguments" in found.output


def test_two_revisions_are_told_to_a_program(repository: Repository, tmp_path: Path) -> None:
    place = published_lately(tmp_path)
    base = repository.commit()
    repository.set("fleets.chat.vllmArguments", ["--seed", "1"])
    head = repository.commit()
    found = of_json("--base", base, "--head", head, "--stack", "dev", "--standing", place)

    assert found["verdict"] == Verdict.FINE
    assert found["instances"][0]["name"] == "batch-0"
    changed = {one["name"]: (one["action"], one["because"], one["usdPerHour"]) for one in found["instances"]}
    assert changed["chat-0"] == (Action.IN_PLACE, ["vllmArguments"], {"now": 0.34, "then": 0.34, "ceiling": 0.34})
    assert found["binding"]["head"] == head
    assert "gpu-fleet review dev" in found["comment"]
    assert found["budget"][0]["name"] == "a day"


def test_nothing_to_say_has_no_comment(repository: Repository, tmp_path: Path) -> None:
    repository.commit()
    found = of_json("--standing", published_lately(tmp_path))

    assert (found["verdict"], found["comment"]) == ("fine", "")


@pytest.fixture
def market() -> Any:
    with running_market() as running:
        yield running


def test_a_key_of_scope_misc_shows_offers_of_the_base_branch_s_market(
    repository: Repository, market: RunningMarket
) -> None:
    key = market.account.keys.make("review", ["misc"], market.account.number).secret
    repository.set("market", {"url": market.url, "timeScale": market.time_scale})
    repository.set("fleets.chat.maxUsdPerHour", 5)
    repository.set("fleets.chat.downloadMbps", 0)
    repository.set("fleets.chat.verified", False)
    repository.commit()
    repository.set("fleets.chat.replicas", 3)
    repository.set("market.url", "http://127.0.0.1:1")
    repository.write_config()
    found = of_json(env={"VAST_REVIEW_KEY": key})

    rented = next(one for one in found["instances"] if one["action"] == "rented")
    assert rented["usdPerHour"]["then"] > 0
    assert any(one.startswith("market.url") for one in found["flagged"])
    assert key not in json.dumps(found)
    assert market.emulator.usd_per_hour() == 0


def test_without_a_key_a_rent_is_neutral_and_not_green(repository: Repository) -> None:
    repository.commit()
    repository.set("fleets.chat.replicas", 3)
    repository.write_config()

    assert of_json()["verdict"] == "market silent"
    assert reviewed().exit_code == 4


def test_a_config_that_up_refuses_exits_with_1(repository: Repository) -> None:
    repository.commit()
    repository.set("fleets.chat.replicaz", 3)
    repository.write_config()
    found = of_json()

    assert (found["verdict"], found["exit"]) == ("refused", 1)
    assert "did you mean replicas?" in found["refusals"][-1]
    assert "not judged" in found["comment"]
    assert "$0.00" not in found["comment"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--base", "nowhere"], "'nowhere' is no revision"),
        (["--head", "--json"], "is no revision"),
        (["--nonsense"], "No such option"),
        (["--post", "sourcehut"], "is not one of"),
        (["--standing", "absent.json"], "absent.json cannot be read"),
        (["--standing", "Pulumi.dev.yaml"], "no JSON object"),
    ],
)
def test_wrong_usage_exits_with_64(words: Sequence[str], says: str, repository: Repository) -> None:
    repository.commit()
    found = reviewed(*words)

    assert found.exit_code == 64, found.output
    assert says in found.output
    assert "Traceback" not in found.output


def test_the_one_stack_that_is_edited_needs_no_name_and_its_plain_key_asks_its_market(
    repository: Repository, market: RunningMarket
) -> None:
    """As in the sandbox, whose keys are public."""
    repository.config["fleets"]["chat"] |= {"verified": False, "downloadMbps": 0, "maxUsdPerHour": 5}
    repository.set("market", {"url": market.url, "timeScale": market.time_scale})
    repository.set("vastApiKey", market.account.keys.make("plain", ["misc"], market.account.number).secret)
    sections = {f"gpu-fleet:{key}": value for key, value in repository.config.items()}
    repository.write("Pulumi.local.yaml", json.dumps({"config": sections}))
    repository.commit()
    sections["gpu-fleet:fleets"]["chat"]["replicas"] = 3
    repository.write("Pulumi.local.yaml", json.dumps({"config": sections}))
    found = of_json()

    assert found["stack"] == "local"
    assert next(one for one in found["instances"] if one["action"] == "rented")["usdPerHour"]["then"] > 0


def test_the_stack_is_the_only_one_or_must_be_named(repository: Repository) -> None:
    repository.commit()
    repository.write("Pulumi.local.yaml", "config: {}\n")
    assert reviewed().exit_code in (0, 2)
    repository.write("Pulumi.prod.yaml", "config: {}\n")
    assert reviewed().exit_code == 64
    assert "name the stack with --stack" in reviewed().output


def state(name: str = "dev") -> str:
    rows = json.loads((ROOT / "tests/providers/states/0.1.0.json").read_text())["deployment"]["resources"]
    return json.dumps({"version": 3, "deployment": {"resources": rows}, "name": name})


def test_what_runs_is_read_of_the_state_and_its_slots(repository: Repository) -> None:
    asked: list[list[str]] = []

    def run(words: Sequence[str]) -> str:
        asked.append(list(words))
        return json.dumps([{"name": "dev"}, {"name": "other"}]) if words[1] == "ls" else state()

    repository.write_config()
    found = published(run, "dev", repository.folder)

    assert [one.name for one in found.instances] == ["chat-0"]
    assert found.program
    assert found.kit == ""  # the instance has the kit of another release
    assert read_standing(found.to_json()) == found
    assert all("--show-secrets" not in words for words in asked)


@pytest.mark.parametrize("is_applied", [True, False])
def test_the_kit_of_the_work_tree_counts_as_applied_only_if_the_instances_have_it(
    is_applied: bool, repository: Repository
) -> None:
    repository.write_config()
    tree = open_tree("worktree", repository.folder)
    built = manifest("kit", 0.05)
    settings = read_revision(tree, "dev").settings("chat", "chat-0", 0).model_copy(update={"kit": built})
    row = STANDING.instances[0].model_copy(update={"recorded": recorded_of(settings)})
    one = STANDING.model_copy(update={"instances": (row,)})
    made = built if is_applied else manifest("kit", 0.06)

    assert applied_kit(one, tree, "dev", lambda _reports: made) == (
        kit_of(tree, reports=False).digest if is_applied else ""
    )


def test_machines_that_cannot_be_read_of_the_ledger_are_unknown() -> None:
    def closed(stack: str) -> CommandContext:
        raise CommandError(f"no key of {stack}")

    assert machines_known("dev", closed) is None


def test_the_machines_of_the_ledger_are_those_on_which_an_attempt_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    plain = {key: value for key, value in CONFIG.items() if not key.startswith("store")}
    sections = {**plain, "vastApiKey": "k", "store": CONFIG["store"], "models": {}, "fleets": {}}
    rows = {f"gpu-fleet:{key}": {"value": json.dumps(value), "objectValue": value} for key, value in sections.items()}

    def opened(stack: str) -> CommandContext:
        return open_context(stack, {}, run=lambda _words: json.dumps(rows), project=tmp_path)

    ledger = ledger_alone(opened("dev"))
    for number, outcome in enumerate(Outcome):
        ledger.append(event(float(number), outcome.value, machine_id=number))

    ended = [number for number, outcome in enumerate(Outcome) if outcome in (Outcome.SERVED, Outcome.FAILED)]
    assert list(machines_known("dev", opened) or ()) == ended


def test_a_spend_that_cannot_be_counted_is_unknown() -> None:
    def closed(stack: str) -> CommandContext:
        raise CommandError(f"no key of {stack}")

    assert spent_this_month("dev", closed) is None


def test_a_machine_that_cannot_make_the_kit_does_not_know_it(repository: Repository) -> None:
    def make(_reports: bool) -> Manifest:
        raise KitError("no caddy here")

    repository.write_config()
    assert applied_kit(STANDING, open_tree("worktree", repository.folder), "dev", make) == ""


def test_a_state_that_cannot_be_read_publishes_nothing(repository: Repository) -> None:
    def run(words: Sequence[str]) -> str:
        raise BackendError(f"no backend for {words[0]}")

    with pytest.raises(BackendError):
        published(run, "dev", repository.folder)


def test_what_runs_may_come_from_a_url() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/moved":
            return httpx.Response(302, headers={"location": "https://example.test/standing.json"})
        if request.url.path == "/down":
            raise httpx.ConnectError("refused")
        if request.url.path == "/huge":
            return httpx.Response(200, content=b"x" * 9_000_000)
        return httpx.Response(200, text=STANDING.to_json()) if "standing" in request.url.path else httpx.Response(404)

    transport = httpx.MockTransport(answer)
    assert read_standing(standing_text("https://example.test/moved", transport)) == STANDING
    for path, why in (("/absent", "answers 404"), ("/huge", "more than 8 MB"), ("/down", "cannot be read")):
        with pytest.raises(StandingUnreadable, match=why):
            standing_text(f"https://example.test{path}", transport)
