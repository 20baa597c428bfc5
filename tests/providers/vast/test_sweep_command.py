"""`sweep --destroy`, whole: nothing is given back while a state cannot be read that may know it."""

import json
from pathlib import Path
from typing import Any, cast

import pytest

from components.desk import Desk, Refused
from providers.vast.__main__ import parser, run_sweep
from providers.vast.breaker import Breaker
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
def desk(market: FakeMarket, tmp_path: Path) -> Desk:
    alike: Any = market
    return Desk("dev", {}, 1.0, alike, cast(Any, market.clock), Breaker(tmp_path, 1.0), Limits())


def sweep(desk: Desk, *words: str) -> int:
    return run_sweep(desk, parser().parse_args(["sweep", *words]))


@pytest.mark.parametrize(
    ("listed", "slot", "named"),
    [(LIST, BAD, "stack dev-chat-1"), (BAD, BAD, "the other stacks of the backend")],
    ids=["export", "list"],
)
def test_nothing_is_given_back_while_a_state_cannot_be_read(
    desk: Desk,
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

    for words in (["--destroy"], ["--destroy", "--interrupted", "--json"]):
        with pytest.raises(Refused, match=rf"state of {named} cannot be read \(incorrect passphrase\)") as told:
            sweep(desk, *words)
        assert "sweep --destroy --stack-id abc`" in str(told.value)
    assert list(market.rows) == [number]
    assert str(number) in capsys.readouterr().out
    assert sweep(desk) == 2
    assert sweep(desk, "--destroy", "--stack-id", "abc") == 0
    assert market.rows == {}


def test_an_own_state_that_cannot_be_read_names_the_way_out(
    desk: Desk, market: FakeMarket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = market.add("gpu-fleet/abc/chat-1", offer(1))
    monkeypatch.setenv("PATH", path_with_pulumi(tmp_path / "bin", {"stack ls": LIST, "stack export": BAD}))

    with pytest.raises(Refused, match=r"state of stack dev cannot be read .*--stack-id ID` gives back"):
        sweep(desk, "--destroy")

    assert list(market.rows) == [number]


def test_where_all_states_are_read_only_what_none_knows_is_given_back(
    desk: Desk, market: FakeMarket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, _lost = (market.add(f"gpu-fleet/abc/chat-{n}", offer(n)) for n in (1, 2))
    answers = {"stack ls": LIST, "stack export --stack dev-chat-1": knows(known), "stack export --stack dev": OWN}
    monkeypatch.setenv("PATH", path_with_pulumi(tmp_path / "bin", answers))

    assert sweep(desk, "--destroy") == 0

    assert list(market.rows) == [known]
