"""`sweep` and the stacks of slots: it lists them, removes the empty ones, and ends all of them only if it is told to."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from cli.context import CommandContext
from cli.errors import CommandError
from cli.slots import open_slot
from cli.sweep import run_sweep
from controller.slot_stack import SlotBusyError, SlotError
from providers.vast.api.breaker import Breaker
from providers.vast.limits import Limits
from tests.cli.test_sweep import IDENTITY
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer
from tests.doubles.pulumi_command import Answer, exported, path_with_pulumi

INSTANCE = "pulumi-python:dynamic/vast:Instance"


@dataclass
class Ended:
    """Notes which slots were ended; `refuses` by name."""

    refuses: dict[str, SlotError] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)

    def open(self, main: str, name: str) -> Any:
        assert main == "dev"
        return _One(self, name)


@dataclass
class _One:
    ended: Ended
    name: str

    def destroy(self, progress: Any) -> None:
        if self.name in self.ended.refuses:
            raise self.ended.refuses[self.name]
        progress("give back", "instance")

    def remove(self) -> None:
        self.ended.names.append(self.name)


def row(name: str, number: int) -> dict[str, Any]:
    return {"type": INSTANCE, "id": str(number), "urn": f"a::{name}", "inputs": {"label": f"gpu-fleet/abc/{name}"}}


@pytest.fixture
def market() -> FakeMarket:
    return FakeMarket(FakeClock())


@pytest.fixture
def context(market: FakeMarket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandContext:
    """Slots 0 with an instance, 1 whose instance is gone, 2 that boots, and one of another stack."""
    serving = market.add("gpu-fleet/abc/burst-s0", offer(1))
    market.add("gpu-fleet/abc/burst-s2", offer(2))
    names = ["dev", "dev.slot.burst-0", "dev.slot.burst-1", "dev.slot.burst-2", "other.slot.burst-0"]
    booting = {"type": "creating", "resource": row("burst-s2", 0)}
    answers: dict[str, Answer] = {
        "stack ls": (0, json.dumps([{"name": name} for name in names]), ""),
        "stack export --stack dev.slot.burst-0": exported(resources=[row("burst-s0", serving)]),
        "stack export --stack dev.slot.burst-1": exported(resources=[row("burst-s1", 999)]),
        "stack export --stack dev.slot.burst-2": exported(resources=[], pending_operations=[booting]),
        "stack export --stack other.slot.burst-0": exported(),
        "stack export --stack dev": exported(resources=[IDENTITY]),
    }
    monkeypatch.setenv("PATH", path_with_pulumi(tmp_path / "bin", answers))
    alike: Any = market
    return CommandContext("dev", {}, 1.0, alike, cast(Any, market.clock), Breaker(tmp_path, 1.0), Limits())


def test_a_sweep_lists_the_slots_and_ends_none(
    context: CommandContext, market: FakeMarket, capsys: pytest.CaptureFixture[str]
) -> None:
    ended, rented = Ended(), sorted(market.rows)

    assert run_sweep(context, open_slot=ended.open) == 2  # one is being created

    said = capsys.readouterr().out
    assert f"slot dev.slot.burst-0: instance {rented[0]}\n" in said
    assert "slot dev.slot.burst-1: nothing is rented for it\n" in said
    assert "slot dev.slot.burst-2: an `up` is creating its instance" in said
    assert "other.slot" not in said
    assert (ended.names, sorted(market.rows)) == ([], rented)


def test_destroy_removes_the_stacks_for_which_nothing_is_rented_and_no_other(
    context: CommandContext, market: FakeMarket
) -> None:
    ended, rented = Ended(), sorted(market.rows)

    run_sweep(context, destroy=True, open_slot=ended.open)

    assert (ended.names, sorted(market.rows)) == (["dev.slot.burst-1"], rented)


def test_a_slot_on_which_somebody_works_is_left_alone_unless_all_are_to_end(
    context: CommandContext, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = Ended({"dev.slot.burst-1": SlotBusyError("slot dev.slot.burst-1 is held by process 7")})

    run_sweep(context, destroy=True, open_slot=ended.open)

    assert "held by process 7" in capsys.readouterr().err
    with pytest.raises(CommandError, match="held by process 7"):
        run_sweep(context, destroy=True, slots=True, open_slot=ended.open)
    assert sorted(ended.names) == ["dev.slot.burst-0", "dev.slot.burst-2"]


def test_the_report_for_programs_has_the_slots(context: CommandContext, capsys: pytest.CaptureFixture[str]) -> None:
    run_sweep(context, as_json=True)

    slots = json.loads(capsys.readouterr().out)["slots"]
    assert [(one["stack"], one["creating"]) for one in slots] == [
        ("dev.slot.burst-0", False),
        ("dev.slot.burst-1", False),
        ("dev.slot.burst-2", True),
    ]


def test_only_a_slot_of_the_stack_is_opened() -> None:
    assert open_slot("dev", "dev.slot.burst-0").name == "dev.slot.burst-0"
    with pytest.raises(SlotError, match="no slot of stack dev"):
        open_slot("dev", "other.slot.burst-0")
