"""`gpu-fleet renew` and the stacks of slots: those whose certificates end soon, each alone, whatever the others say."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from bootstrap.services import Progress
from cli.context import CommandContext
from cli.errors import CommandError
from cli.renew import run_renew
from controller.slot_stack import SlotBusyError, SlotError
from providers.vast.api.breaker import Breaker
from providers.vast.limits import Limits
from providers.vast.pulumi_state import INSTANCE
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket
from tests.doubles.pulumi_command import Answer, exported, path_with_pulumi

NOW, DAY = 1_800_000_000.0, 86_400.0
SLOTS = [f"dev.slot.burst-{index}" for index in range(4)]


@dataclass
class Renewed:
    """Slots' stacks that note what was renewed; `answers` by name."""

    answers: dict[str, list[str] | SlotError] = field(default_factory=dict)
    urns: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def open(self, main: str, name: str) -> Any:
        assert main == "dev"
        return _One(self, name)


@dataclass
class _One:
    renewed: Renewed
    name: str

    def renew(self, urns: tuple[str, ...], progress: Progress) -> list[str]:
        answer = self.renewed.answers.get(self.name, [])
        if isinstance(answer, SlotError):
            raise answer
        if not answer:
            self.renewed.urns[self.name] = urns
            progress("install", "certificate")
        return answer


def state(name: str, days: float) -> Answer:
    return exported(
        resources=[{"type": INSTANCE, "urn": f"a::{name}", "outputs": {"certificateEnd": NOW + days * DAY}}]
    )


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandContext:
    """A stack with nothing to renew, three slots whose certificates end soon, and one whose does not."""
    ends = [10, 60, 10, 10]
    states = {f"stack export --stack {name}": state(f"burst-s{index}", ends[index]) for index, name in enumerate(SLOTS)}
    names = (0, json.dumps([{"name": name} for name in ["dev", *SLOTS]]), "")
    answers = {**states, "stack export --stack dev": state("chat-0", 60), "stack ls": names}
    monkeypatch.setenv("PATH", path_with_pulumi(tmp_path / "bin", answers))
    clock = FakeClock(NOW)
    market = FakeMarket(clock)
    return CommandContext("dev", {}, 1.0, cast(Any, market), cast(Any, clock), Breaker(tmp_path, 1.0), Limits())


def test_slots_whose_certificates_end_soon_are_renewed_and_no_other(
    context: CommandContext, capsys: pytest.CaptureFixture[str]
) -> None:
    renewed = Renewed()

    assert run_renew(context, renewed.open) == 0

    assert renewed.urns == {SLOTS[index]: (f"a::burst-s{index}",) for index in (0, 2, 3)}
    said = capsys.readouterr().out
    assert "Nothing to renew: the first certificate ends on 20" in said
    assert "To renew: burst-s2." in said
    assert "dev.slot.burst-3  install  certificate" in said


def test_one_slot_s_trouble_keeps_no_other_from_its_renewal(
    context: CommandContext, capsys: pytest.CaptureFixture[str]
) -> None:
    renewed = Renewed({SLOTS[0]: ["burst-s0: server was edited"], SLOTS[2]: SlotError("slot 2: `up` failed: no host")})

    with pytest.raises(CommandError) as refused:
        run_renew(context, renewed.open)

    assert "slot dev.slot.burst-0 would do more than renew (burst-s0: server was edited)" in str(refused.value)
    assert "slot 2: `up` failed: no host" in str(refused.value)
    assert list(renewed.urns) == [SLOTS[3]]

    busy = Renewed({SLOTS[0]: SlotBusyError("slot 0 is held by process 7")})
    assert run_renew(context, busy.open) == 0
    assert list(busy.urns) == [SLOTS[2], SLOTS[3]]
    assert "slot 0 is held by process 7. The next `gpu-fleet renew` tries again." in capsys.readouterr().out
