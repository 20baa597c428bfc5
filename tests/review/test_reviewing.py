"""A whole review: the verdict over all, what is only flagged, and what is said of a base branch that helps little."""

from typing import Any

import pytest

from providers.vast.api import errors
from review.prospects import Look
from review.report import Action, Verdict
from review.revision import read_revision
from review.standing import Standing, recorded_of
from review.tree import open_tree
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer, raising
from tests.doubles.reviewed_repository import SECURE, STACK, Repository, manifest
from tests.doubles.reviewing import AT, STANDING, market, reviewed


def test_no_edit_is_fine_and_asks_no_market(repository: Repository) -> None:
    base = repository.commit()
    found = reviewed(repository, base, look=Look(None))

    assert (found.verdict, found.fleets, found.warnings, found.flagged) == (Verdict.FINE, (), (), ())
    assert not found.changes_anything
    assert found.asked_at == 0
    assert found.standing_at == STANDING.at


def test_an_edit_of_three_kinds_is_shown_with_its_prices(repository: Repository) -> None:
    base = repository.commit()
    repository.set("fleets.chat.replicas", 3)
    repository.set("fleets.batch.vllmArguments", ["--seed", "1"])
    repository.write_config()
    found = reviewed(repository, base)

    assert found.verdict is Verdict.FINE
    assert {one.name: one.action for one in found.instances} == {
        "chat-0": Action.UNCHANGED,
        "chat-1": Action.UNCHANGED,
        "chat-2": Action.RENTED,
        "batch-0": Action.IN_PLACE,
    }
    new = next(one for one in found.instances if one.name == "chat-2")
    chat = next(one for one in found.fleets if one.name == "chat")
    assert new.usd_per_hour.then == chat.offers[0].usd_per_hour
    assert found.asked_at == AT
    assert found.binding is not None
    assert (found.binding.head, found.binding.base) == ("worktree", base)


def test_a_machine_that_neither_the_market_nor_the_ledger_knows_is_a_risk(repository: Repository) -> None:
    repository.set("fleets.chat.verified", False)
    base = repository.commit()
    repository.set("fleets.chat.replicas", 3)
    repository.write_config()
    fresh = FakeMarket(FakeClock(), [offer(1, verification="unverified")])
    says = (
        "chat would rent a new host: the market has not verified machine 1001, and the ledger does not know it either."
    )

    def risks(machines: tuple[int, ...]) -> tuple[str, ...]:
        return reviewed(repository, base, STANDING.model_copy(update={"machines": machines}), Look(fresh)).risks

    assert risks((12,)) == (says,)
    assert risks((12, 1001)) == ()


def test_a_start_reads_the_kit_that_runs_or_the_one_that_this_computer_makes(repository: Repository) -> None:
    base = repository.commit()
    settings = read_revision(open_tree(base, repository.folder), STACK).settings("chat", "chat-0", 0)
    kit = manifest("kit", 0.05)
    row = STANDING.instances[0].model_copy(update={"recorded": recorded_of(settings.model_copy(update={"kit": kit}))})
    runs = STANDING.model_copy(update={"instances": (row,)})

    def reads(standing: Standing | None, **asked: Any) -> float | None:
        return next(one for one in reviewed(repository, base, standing, **asked).models if one.name == "small").start_gb

    sizes = {False: 60_000_000, True: 80_000_000}
    assert reads(runs, kit_size=sizes.get) == 1.05
    assert reads(None, kit_size=sizes.get) == 1.06
    assert reads(None) is None
    repository.set("metrics", {"url": "https://metrics.example"})
    repository.set("metricsKey", SECURE)
    repository.write_config()
    assert reads(runs, kit_size=sizes.get) == 1.08, "hosts that report have a larger kit"


def test_a_parked_fleet_asks_for_no_offers(repository: Repository) -> None:
    base = repository.commit()
    repository.set("fleets.chat.replicas", 0)
    repository.write_config()
    found = reviewed(repository, base, look=Look(None))

    assert found.verdict is Verdict.FINE
    assert found.fleets == ()
    assert found.periods[0].expected == pytest.approx(0.34 * 24)


def test_a_config_that_up_refuses_is_refused_in_its_sentences(repository: Repository) -> None:
    base = repository.commit()
    repository.set("fleets.chat.modle", "small")
    repository.write_config()
    found = reviewed(repository, base)

    assert found.verdict is Verdict.REFUSED
    assert any("did you mean model?" in one for one in found.refusals)
    assert found.instances == ()


def test_an_impossible_wish_refuses_the_edit_and_the_other_fleets_are_still_shown(repository: Repository) -> None:
    base = repository.commit()
    repository.set("fleets.batch.gpu.name", "RTX 3090")
    repository.set("fleets.batch.maxUsdPerHour", 0.1)
    repository.set("fleets.chat.replicas", 3)
    repository.write_config()
    found = reviewed(repository, base)

    assert found.verdict is Verdict.REFUSED
    assert len(found.refusals) == 1
    assert found.refusals[0].startswith("gpu-fleet:fleets.batch")
    assert next(one for one in found.fleets if one.name == "chat").offers


@pytest.mark.parametrize("is_silent", [False, True])
def test_an_unknown_market_is_neutral_for_rents_and_nothing_else(is_silent: bool, repository: Repository) -> None:
    base = repository.commit()
    asked = market()
    asked.before["search"] = [raising(errors.OutcomeUnknown("search", "ReadTimeout"))]
    look = lambda: Look(asked if is_silent else None)  # noqa: E731
    repository.set("limits", {"attempts": 4})
    repository.write_config()
    assert reviewed(repository, base, look=Look(None)).verdict is Verdict.FINE
    repository.set("fleets.chat.replicas", 3)
    repository.write_config()
    found = reviewed(repository, base, look=look())

    assert found.verdict is Verdict.MARKET_SILENT
    assert found.exit == 4
    new = next(one for one in found.instances if one.action is Action.RENTED)
    assert (new.usd_per_hour.then, new.usd_per_hour.ceiling) == (None, 0.5)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("market.url", "https://evil.example", "market.url https://console.vast.ai → https://evil.example"),
        ("store.endpoint", "https://evil.example", "store.endpoint https://fsn1.example → https://evil.example"),
        (
            "market.hostUrl",
            "https://a:hunter2hunter2@evil.example",
            "market.hostUrl none → https://a:[secret]@evil.example",
        ),
        ("models.small.source", "/etc", "models.small.source none → /etc"),
        ("store.endpoint", SECURE, "store.endpoint https://fsn1.example → [secret]"),
    ],
)
def test_where_keys_and_files_go_is_flagged(path: str, value: Any, says: str, repository: Repository) -> None:
    base = repository.commit()
    repository.set(path, value)
    repository.write_config()
    found = reviewed(repository, base)

    assert len(found.flagged) == 1
    assert found.flagged[0].startswith(says)
    assert found.verdict is not Verdict.FINE


def test_a_secrets_provider_and_what_pulumi_runs_are_flagged(repository: Repository) -> None:
    repository.write("Pulumi.yaml", "name: gpu-fleet\nruntime: python\n")
    base = repository.commit()
    repository.write_config(secretsprovider="awskms://alias/evil", environment=["evil"])
    repository.write("Pulumi.yaml", "name: gpu-fleet\nruntime: python\nmain: ./elsewhere\n")
    found = reviewed(repository, base)

    assert [one.partition(" changes")[0] for one in found.flagged] == [
        "secretsprovider of Pulumi.dev.yaml",
        "environment of Pulumi.dev.yaml",
        "main of Pulumi.yaml",
    ]


def test_another_program_is_flagged_and_other_files_are_not(repository: Repository) -> None:
    base = repository.commit()
    repository.write("docs/page.md", "words")
    assert reviewed(repository, base).flagged == ()
    repository.write("components/fleet.py", "print()")
    assert "program itself changes" in reviewed(repository, base).flagged[0]


def test_without_what_runs_it_says_so_and_judges_by_config_alone(repository: Repository) -> None:
    base = repository.commit()
    assert reviewed(repository, base, None).verdict is Verdict.FINE
    repository.set("limits", {"attempts": 4})
    repository.write_config()
    found = reviewed(repository, base, None)

    assert found.verdict is Verdict.WARNS
    assert "judged by config alone" in found.warnings[0]
    assert found.standing_at is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"stack": "other"}, "is of the stack other"),
        ({"at": AT - 40 * 86_400}, "40 days ago"),
        ({"unreadable": 2}, "2 instances of the file"),
    ],
)
def test_a_doubtful_file_of_what_runs_is_a_warning(change: dict[str, Any], says: str, repository: Repository) -> None:
    base = repository.commit()
    found = reviewed(repository, base, STANDING.model_copy(update=change))
    assert says in found.warnings[0]


def test_a_stack_that_the_base_lacks_is_new_and_its_market_is_not_asked(repository: Repository) -> None:
    base = repository.commit(write=False)
    repository.write_config()
    found = reviewed(repository, base, None, Look(None, "the base branch names no market"))

    assert {one.action for one in found.instances} == {Action.RENTED}
    assert "judged as a new one" in found.warnings[0]
    assert found.verdict is Verdict.MARKET_SILENT


def test_a_base_that_up_would_refuse_is_a_warning(repository: Repository) -> None:
    repository.set("fleets.chat.modle", "x")
    base = repository.commit()
    repository.set("fleets.chat.modle", None)
    repository.write_config()
    assert "own config is refused" in reviewed(repository, base).warnings[0]


def test_policy_of_the_base_refuses(repository: Repository) -> None:
    repository.set("policy", {"maxReplicas": 2})
    base = repository.commit()
    repository.set("fleets.chat.replicas", 3)
    repository.set("policy", {"maxReplicas": 9})
    repository.write_config()
    found = reviewed(repository, base)

    assert found.verdict is Verdict.REFUSED
    assert found.refusals[0].startswith("replicas: chat may have 3")
