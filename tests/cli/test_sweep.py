"""`sweep --destroy`, whole: nothing is given back while a state cannot be read that may know it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner

from cli.context import CommandContext
from cli.errors import CommandError
from cli.main import root
from cli.sweep import run_sweep
from providers.ledger.event import Outcome
from providers.ledger.folder_ledger import FolderLedger, ledger_home
from providers.ledger.instance_end import SWEPT
from providers.vast.api.breaker import Breaker
from providers.vast.limits import Limits
from tests.doubles.clock import FakeClock
from tests.doubles.market import FakeMarket, offer
from tests.doubles.pulumi_command import Answer, exported, path_with_pulumi

IDENTITY = {"type": "pulumi-python:dynamic/identity:Identity", "id": "abc", "outputs": {"stackId": "abc"}}
OWN = exported(resources=[IDENTITY])
LIST = (0, json.dumps([{"name": "dev"}, {"name": "dev-chat-1"}]), "")
BAD: Answer = (255, "", "error: incorrect passphrase\n")


def knows(number: int) -> Answer:
    row = {"type": "pulumi-python:dynamic/vast:Instance", "id": str(number), "urn": "a::chat-1"}
    return exported(resources=[{**row, "inputs": {"label": "gpu-fleet/abc/chat-1"}}])


@pytest.fixture
def market() -> FakeMarket:
    return FakeMarket(FakeClock())


@pytest.fixture
def context(market: FakeMarket, tmp_path: Path) -> CommandContext:
    alike: Any = market
    return CommandContext("dev", {}, 1.0, alike, cast(Any, market.clock), Breaker(tmp_path, 1.0), Limits())


@pytest.mark.parametrize(
    ("listed", "slot", "named"),
    [(LIST, BAD, "stack dev-chat-1"), (BAD, BAD, "the other stacks of the backend")],
    ids=["export", "list"],
)
def test_nothing_is_given_back_while_a_state_cannot_be_read(
    context: CommandContext,
    market: FakeMarket,
    listed: Answer,
    slot: Answer,
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    number = market.add("gpu-fleet/abc/chat-1", offer(1))
    answers = {"stack ls": listed, "stack export --stack dev-chat-1": slot, "stack export --stack dev": OWN}
    monkeypatch.setenv("PATH", path_with_pulumi(tmp_path / "bin", answers))

    every: tuple[dict[str, Any], ...] = ({}, {"interrupted": True, "as_json": True})
    for options in every:
        with pytest.raises(CommandError, match=rf"state of {named} cannot be read \(incorrect passphrase\)") as told:
            run_sweep(context, destroy=True, **options)
        assert "sweep --destroy --stack-id abc`" in str(told.value)
    assert list(market.rows) == [number]
    assert str(number) in capsys.readouterr().out
    assert run_sweep(context) == 2
    assert run_sweep(context, destroy=True, stack_id="abc") == 0
    assert market.rows == {}


def test_an_own_state_that_cannot_be_read_names_the_way_out(
    context: CommandContext, market: FakeMarket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = market.add("gpu-fleet/abc/chat-1", offer(1))
    monkeypatch.setenv("PATH", path_with_pulumi(tmp_path / "bin", {"stack ls": LIST, "stack export": BAD}))

    with pytest.raises(CommandError, match=r"state of stack dev cannot be read .*--stack-id ID` gives back"):
        run_sweep(context, destroy=True)

    assert list(market.rows) == [number]


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_stack_id_is_refused_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no pulumi there

    done = CliRunner().invoke(root, ["sweep", "--destroy", "--stack-id", empty])

    assert done.exit_code == 2
    assert "'--stack-id': it is empty; `gpu-fleet sweep` prints labels, gpu-fleet/ID/NAME." in " ".join(
        done.output.split()
    )


def test_the_ledger_learns_what_was_given_back_though_config_is_wrong_elsewhere(
    context: CommandContext, market: FakeMarket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = market.add("gpu-fleet/abc/chat-1", offer(1))
    monkeypatch.setenv("PATH", path_with_pulumi(tmp_path / "bin", {"stack ls": LIST, "stack export": OWN}))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    store = {"endpoint": "http://127.0.0.1:1", "region": "here", "bucket": "weights"}
    config = {"gpu-fleet:store": json.dumps(store), "gpu-fleet:fleets": "no mapping"}

    assert run_sweep(replace(context, config=config), destroy=True) == 0

    (end,) = FolderLedger(ledger_home({"XDG_STATE_HOME": str(tmp_path)}, "weights")).events()
    assert (end.outcome, end.instance_id, end.message) == (Outcome.ENDED, number, SWEPT)


@pytest.mark.parametrize("store", [{}, {"gpu-fleet:store": "no mapping"}, {"gpu-fleet:store": '{"bucket": 1}'}])
def test_a_sweep_gives_back_though_no_ledger_is_known(
    context: CommandContext, market: FakeMarket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: dict[str, str]
) -> None:
    market.add("gpu-fleet/abc/chat-1", offer(1))
    monkeypatch.setenv("PATH", path_with_pulumi(tmp_path / "bin", {"stack ls": LIST, "stack export": OWN}))

    assert run_sweep(replace(context, config=store), destroy=True) == 0

    assert market.rows == {}


def test_where_all_states_are_read_only_what_none_knows_is_given_back(
    context: CommandContext, market: FakeMarket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, _lost = (market.add(f"gpu-fleet/abc/chat-{n}", offer(n)) for n in (1, 2))
    answers = {"stack ls": LIST, "stack export --stack dev-chat-1": knows(known), "stack export --stack dev": OWN}
    monkeypatch.setenv("PATH", path_with_pulumi(tmp_path / "bin", answers))

    assert run_sweep(context, destroy=True) == 0

    assert list(market.rows) == [known]
