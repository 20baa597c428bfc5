"""The rentals as the engine drives them: the key's account, another one, and states that know none."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime import rpc

from providers.ledger.event import Outcome
from providers.ledger.folder_ledger import FolderLedger, ledger_home
from providers.rentals.resource import RentalsProvider
from providers.vast.pulumi_state import IDENTITY
from sandbox.market.market import Market
from sandbox.market.records.contracts import Request
from sandbox.testing import RunningMarket, running_market
from tests.doubles.dynamic_process import DynamicProcess, ProviderError

pytestmark = pytest.mark.service


@pytest.fixture
def process() -> Iterator[DynamicProcess]:
    with DynamicProcess(RentalsProvider()) as running:
        yield running


def test_the_life_of_the_resource(process: DynamicProcess) -> None:
    with running_market() as market:
        process.configure({"vastApiKey": market.key})
        place = {"url": market.url, "hostUrl": "", "timeScale": market.time_scale}
        inputs = {"market": place, "stackId": "abc"}
        assert process.check(inputs).failures == {}

        id_, outs = process.create(inputs)

        assert id_ == "abc"
        assert process.diff(id_, outs, inputs).changes is False
        assert process.diff(id_, outs, {**inputs, "stackId": rpc.UNKNOWN}).changes is False
        moved = process.diff(id_, outs, {**inputs, "market": {**place, "url": "http://127.0.0.1:1"}})
        assert (moved.changes, moved.replaces) == (True, [])
        assert process.read(id_, outs).id == "abc"
        process.delete(id_, outs)
        assert process.says("rentals  confirm gone")


def test_a_key_that_was_revoked_is_no_empty_account(process: DynamicProcess) -> None:
    with running_market() as market:
        process.configure({"vastApiKey": "revoked"})
        inputs = {"market": {"url": market.url, "timeScale": market.time_scale}, "stackId": "abc"}

        with pytest.raises(ProviderError, match="could not be asked") as raised:
            process.delete("abc", inputs)

        assert "Traceback" not in str(raised.value)


def started(process: DynamicProcess, market: RunningMarket, key: str, **keys: str) -> dict[str, Any]:
    """Have the process use a key, and return the inputs of a stack's rentals."""
    process.configure({"vastApiKey": key, **keys})
    return {
        "market": {"url": market.url, "hostUrl": "", "timeScale": market.time_scale},
        "stackId": "abc",
        "stack": "dev",
    }


def orphan(market: Market) -> int:
    """Rent something under the stack's id that no state knows."""
    number = next(iter(market.listed()))["id"]
    return market.rent(number, Request(image="image", label="gpu-fleet/abc/chat-0")).id


@pytest.fixture
def market_of_two() -> Iterator[RunningMarket]:
    with running_market() as running:
        running.accounts.named("team")
        yield running


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a command `pulumi` on PATH whose backend has one stack, which has the id abc and no instance."""
    state = {"resources": [{"type": IDENTITY, "id": "abc", "outputs": {"stackId": "abc"}}]}
    (tmp_path / "pulumi").write_text(
        f"#!/bin/sh\ncase $3 in export) echo '{json.dumps({'deployment': state})}' ;; *) echo '[]' ;; esac\n"
    )
    (tmp_path / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def test_a_key_of_another_account_ends_preview_refresh_and_destroy(market_of_two: RunningMarket, pulumi: None) -> None:
    team = market_of_two.accounts.named("team")
    with DynamicProcess(RentalsProvider()) as process:
        inputs = started(process, market_of_two, team.key)
        _id, outs = process.create(inputs)
        assert outs["account"] == team.number
        assert process.diff("abc", outs, inputs).changes is False
    orphan(team.market)

    with DynamicProcess(RentalsProvider()) as process:
        started(process, market_of_two, market_of_two.key)
        for refused in (
            lambda: process.diff("abc", outs, inputs),
            lambda: process.read("abc", outs),
            lambda: process.delete("abc", outs),
        ):
            with pytest.raises(ProviderError, match=r"on account 4712 .*of account 4711 \(sandbox\)"):
                refused()
    assert len(team.market.all()) == 1

    with DynamicProcess(RentalsProvider()) as process:
        scopes = ["instance_read", "instance_write", "user_read"]
        started(process, market_of_two, team.keys.make("of a member", scopes, team.number).secret)
        assert process.diff("abc", outs, inputs).changes is False
        assert process.read("abc", outs).outs["account"] == team.number
        process.delete("abc", outs)
    assert team.market.all() == []


def test_an_update_that_writes_no_checkpoints_ends_nothing(
    market_of_two: RunningMarket, pulumi: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_SKIP_CHECKPOINTS", "true")
    orphan(market_of_two.emulator)
    with DynamicProcess(RentalsProvider()) as process:
        inputs = started(process, market_of_two, market_of_two.key)
        with pytest.raises(ProviderError, match="PULUMI_SKIP_CHECKPOINTS is set"):
            process.delete("abc", inputs)
    assert len(market_of_two.emulator.all()) == 1


def test_an_old_state_learns_the_account_from_what_is_rented_there_and_from_nothing_else(
    market_of_two: RunningMarket, process: DynamicProcess
) -> None:
    inputs = started(process, market_of_two, market_of_two.key)
    assert process.diff("abc", inputs, inputs).changes is False
    assert process.read("abc", inputs).outs.get("account") is None

    orphan(market_of_two.emulator)

    assert process.diff("abc", inputs, inputs).changes is True
    assert process.update("abc", inputs, inputs)["account"] == 4711
    assert process.read("abc", inputs).outs["account"] == 4711


def test_a_key_that_may_not_read_the_account_stops_what_would_drop_something_and_nothing_else(
    market_of_two: RunningMarket, process: DynamicProcess
) -> None:
    account = market_of_two.account
    blind = account.keys.make("blind", ["misc", "instance_read", "instance_write"], account.number).secret
    inputs = started(process, market_of_two, blind)
    assert process.create(inputs)[1].get("account") is None
    known = {**inputs, "account": 4711}

    assert process.diff("abc", known, inputs).changes is False
    assert process.read("abc", known).outs["account"] == 4711
    with pytest.raises(ProviderError, match="user_read"):
        process.delete("abc", known)
    process.delete("abc", inputs)  # a state that knows no account is believed as before


@pytest.mark.parametrize("keys", [{}, {"storeAccessKey": "a", "storeSecretKey": "b"}], ids=["folder", "silent store"])
def test_the_ledger_learns_what_the_end_of_the_stack_gives_back(
    market_of_two: RunningMarket, pulumi: None, tmp_path: Path, keys: dict[str, str]
) -> None:
    number = orphan(market_of_two.emulator)
    with DynamicProcess(RentalsProvider(), environment={"XDG_STATE_HOME": str(tmp_path)}) as process:
        inputs = started(process, market_of_two, market_of_two.key, **keys)
        store = {"endpoint": "http://127.0.0.1:1", "region": "here", "bucket": "weights", "later": 1}
        process.delete("abc", {**inputs, "store": store})

    assert market_of_two.emulator.all() == []
    (end,) = FolderLedger(ledger_home({"XDG_STATE_HOME": str(tmp_path)}, "weights")).events()
    assert (end.outcome, end.instance_id, end.name) == (Outcome.ENDED, number, "chat-0")
    assert end.seconds >= 0


@pytest.mark.parametrize("store", [None, "a text of a later version", {"bucket": "weights"}])
def test_a_state_without_the_ledger_s_place_ends_all_the_same(
    market_of_two: RunningMarket, pulumi: None, process: DynamicProcess, store: object
) -> None:
    inputs = started(process, market_of_two, market_of_two.key)
    orphan(market_of_two.emulator)

    process.delete("abc", {**inputs, "store": store})

    assert market_of_two.emulator.all() == []


def test_the_ledger_s_place_is_recorded(market_of_two: RunningMarket, process: DynamicProcess) -> None:
    inputs = started(process, market_of_two, market_of_two.key)
    placed = {**inputs, "store": {"endpoint": "http://127.0.0.1:1", "region": "here", "bucket": "weights"}}
    _id, old = process.create(inputs)

    assert process.diff("abc", old, placed).changes is True
    outs = process.update("abc", old, placed)
    assert outs["store"]["bucket"] == "weights"
    assert process.diff("abc", outs, placed).changes is False


def test_another_market_has_other_accounts(market_of_two: RunningMarket, process: DynamicProcess) -> None:
    inputs = started(process, market_of_two, market_of_two.key)
    elsewhere = {**inputs, "market": {**inputs["market"], "url": "http://127.0.0.1:1"}, "account": 99}

    assert process.diff("abc", elsewhere, inputs).changes is True
    assert process.update("abc", elsewhere, inputs)["account"] == 4711
