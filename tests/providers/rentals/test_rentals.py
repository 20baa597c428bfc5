"""The end of a stack's rentals: its own go, known or not; those of others stay; what cannot be asked is an error."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime import rpc

from providers.rentals.ending import Ending, NotAsked, StillWanted, end_rentals, tell_late_boots
from providers.rentals.resource import RentalsProvider
from providers.vast import errors
from providers.vast.backend import IDENTITY, BackendError, StackState
from providers.vast.instances import Instance
from providers.vast.limits import Limits
from providers.vast.rows import Listing, read
from sandbox.market.books import Books
from sandbox.market.contracts import Request
from sandbox.testing import RunningMarket, running_market
from tests.doubles.clock import FakeClock
from tests.doubles.dynamic_process import DynamicProcess, ProviderError
from tests.doubles.market import FakeMarket, offer, raising


@pytest.fixture
def market() -> FakeMarket:
    return FakeMarket(FakeClock())


NOTHING_KNOWN = (StackState("dev", "abc", rentals=1),)


def end(
    market: FakeMarket, said: list[str] | None = None, states: Sequence[StackState] = NOTHING_KNOWN, *ids: str
) -> None:
    words = [] if said is None else said
    ending = Ending(ids or ("abc",))
    end_rentals(
        market, market.clock, Limits(), ending, lambda: states, lambda phase, text: words.append(f"{phase}: {text}")
    )


def test_what_carries_the_id_is_given_back_and_nothing_else(market: FakeMarket) -> None:
    ours = [market.add(f"gpu-fleet/abc/chat-{n}", offer(n)) for n in range(2)]
    others = [market.add(label, offer(9)) for label in ("gpu-fleet/abcd/chat-0", "gpu-fleet/abc", "mine")]
    said: list[str] = []

    end(market, said)

    assert sorted(market.rows) == others
    assert [f"instance {number}" in " ".join(said) for number in ours] == [True, True]
    assert said[-1] == "confirm gone: nothing is rented under gpu-fleet/abc/ any more"


def test_a_market_that_cannot_be_asked_is_no_empty_one(market: FakeMarket) -> None:
    market.before["list"] = [raising(errors.CredentialsRefused("the key is not accepted"))]

    with pytest.raises(NotAsked, match="could not be asked: the key is not accepted"):
        end(market)


def test_what_does_not_go_is_said(market: FakeMarket) -> None:
    number = market.add("gpu-fleet/abc/chat-0", offer(1))
    market.destroy = lambda _number: None  # type: ignore[method-assign]

    with pytest.raises(errors.StillRented, match=f"INSTANCE {number} MAY STILL BE RENTED"):
        end(market)


class Booting(FakeMarket):
    """A market that says of every instance that it has been booting since the clock began."""

    def _instance(self, row: dict[str, Any]) -> Instance:
        return super()._instance(row).model_copy(update={"actual_status": "loading", "start_date": 0.0})


def test_what_boots_for_longer_than_anybody_waits_is_named_with_the_command_that_ends_it() -> None:
    market = Booting(FakeClock())
    number = market.add("gpu-fleet/abc/chat-0", offer(1))
    market.add("gpu-fleet/other/chat-0", offer(2))
    said: list[str] = []

    def look(now: float) -> None:
        tell_late_boots(market, now, Limits(), "abc", lambda _phase, text: said.append(text))

    look(Limits().abandoned_seconds - 1)
    assert said == []
    look(Limits().abandoned_seconds + 1)
    assert len(said) == 1
    assert f"instance {number} (gpu-fleet/abc/chat-0) has been loading for up to 2.0 h" in said[0]
    assert "sweep --destroy`" in said[0]
    market.before["list"] = [raising(errors.OutcomeUnknown("list", "HTTP 502"))]
    look(1e9)
    assert len(said) == 1


def known(stack: str, stack_id: str | None, number: int, **more: Any) -> StackState:
    return StackState(stack, stack_id, {"chat-0": frozenset({number})}, labelled=frozenset({"abc"}), **more)


@pytest.mark.parametrize("rentals", [0, 1, 2])
def test_what_the_stack_s_state_knows_stays_and_what_it_does_not_know_goes(market: FakeMarket, rentals: int) -> None:
    kept, lost = (market.add(f"gpu-fleet/abc/chat-{n}", offer(n)) for n in range(2))
    said: list[str] = []

    end(market, said, [known("dev", "abc", kept, rentals=rentals)])

    assert list(market.rows) == [kept]
    assert said[-1] == f"keep: 1 instances go on, because a state knows them: {kept} (gpu-fleet/abc/chat-0)"
    assert f"instance {lost} " in said[0]


def test_a_second_instance_under_a_known_label_goes(market: FakeMarket) -> None:
    kept, surplus = (market.add("gpu-fleet/abc/chat-0", offer(n)) for n in range(2))

    end(market, None, [known("dev", "abc", kept)])

    assert (list(market.rows), surplus in market.rows) == ([kept], False)


def test_a_killed_create_of_the_stack_goes_and_one_of_another_stack_may_be_running(market: FakeMarket) -> None:
    dead, running = (market.add(f"gpu-fleet/abc/chat-{n}", offer(n)) for n in range(2))
    own = StackState("dev", "abc", creating=frozenset({"chat-0"}), rentals=2)
    other = StackState("dev-chat-1", creating=frozenset({"chat-1"}), labelled=frozenset({"abc"}))

    end(market, None, [own, other])

    assert (list(market.rows), dead in market.rows) == ([running], False)


def test_a_stack_does_not_end_before_the_stacks_that_rent_under_its_id(market: FakeMarket) -> None:
    number = market.add("gpu-fleet/abc/chat-0", offer(1))
    states = [StackState("dev", "abc", rentals=1), known("dev-chat-0", None, number)]

    with pytest.raises(StillWanted, match=rf"{number} \(gpu-fleet/abc/chat-0\).*pulumi destroy --stack dev-chat-0"):
        end(market, None, states)

    assert list(market.rows) == [number]


@pytest.mark.parametrize("doubt", ["own", "other", "none"])
def test_nothing_goes_while_a_state_cannot_be_read(market: FakeMarket, doubt: str) -> None:
    number = market.add("gpu-fleet/abc/chat-0", offer(1))
    trouble = StackState("dev", trouble="the passphrase is wrong")

    def states() -> Sequence[StackState]:
        if doubt == "none":
            raise BackendError("the passphrase is wrong")
        return [trouble] if doubt == "own" else [*NOTHING_KNOWN, trouble]

    with pytest.raises(
        NotAsked, match=rf"{number} \(\$0\.310/h, gpu-fleet/abc/chat-0\).*passphrase is wrong.*sweep --destroy"
    ):
        end_rentals(market, market.clock, Limits(), Ending(["abc"]), states, lambda *_: None)

    assert list(market.rows) == [number]


def test_an_end_with_nothing_left_reads_no_state(market: FakeMarket) -> None:
    def states() -> Sequence[StackState]:
        raise AssertionError

    end_rentals(market, market.clock, Limits(), Ending(["abc"]), states, lambda *_: None)


def test_the_id_of_the_props_and_the_one_of_before_both_end(market: FakeMarket) -> None:
    for stack_id in ("abc", "new", "other"):
        market.add(f"gpu-fleet/{stack_id}/chat-0", offer(1))

    end(market, None, NOTHING_KNOWN, "new", "abc")

    assert [row["label"] for row in market.rows.values()] == ["gpu-fleet/other/chat-0"]


LISTED = {"id": 1, "label": "gpu-fleet/abc/chat-7"}
DOUBTFUL = [
    {**LISTED, "id": None},
    {**LISTED, "label": ["gpu-fleet/abc/chat-7"]},
    {**LISTED, "id": "x", "label": {}},
    None,
    "row",
]
NOT_OURS = [
    {"id": 2, "label": None, "num_gpus": "x"},
    {"id": 3, "num_gpus": "x"},
    {"id": 4, "label": 17, "num_gpus": "x"},
    {"id": None, "label": "gpu-fleet/other/chat-0"},
    {"id": None, "label": "theirs"},
]


def list_also(market: FakeMarket, rows: list[Any]) -> None:
    """Have the market's list hold these rows, too."""
    honest = market.instances
    market.instances = lambda label=None, age=0.0: Listing(  # type: ignore[method-assign]
        honest(label, age), read(rows, Instance).odd
    )


@pytest.mark.parametrize("row", DOUBTFUL)
def test_a_row_of_which_id_or_label_cannot_be_read_is_no_end(market: FakeMarket, row: Any) -> None:
    number = market.add("gpu-fleet/abc/chat-0", offer(1))
    list_also(market, [row, row])
    said: list[str] = []

    with pytest.raises(NotAsked, match=r"2 rows.*gpu-fleet/abc/.*pulumi destroy"):
        end(market, said)

    assert number not in market.rows  # what can be read goes first
    assert not any("any more" in line for line in said)


@pytest.mark.parametrize("row", NOT_OURS)
def test_a_row_that_is_not_of_the_stack_holds_up_no_destroy(market: FakeMarket, row: Any) -> None:
    list_also(market, [row])
    said: list[str] = []

    end(market, said)

    assert said[-1] == "confirm gone: nothing is rented under gpu-fleet/abc/ any more"


@pytest.fixture
def process() -> Iterator[DynamicProcess]:
    with DynamicProcess(RentalsProvider()) as running:
        yield running


def test_the_life_of_the_resource(process: DynamicProcess) -> None:
    with running_market() as market:
        process.configure({"vastApiKey": market.key})
        inputs = {"market": {"url": market.url, "hostUrl": "", "timeScale": market.time_scale}, "stackId": "abc"}
        assert process.check(inputs).failures == {}

        id_, outs = process.create(inputs)

        assert id_ == "abc"
        assert process.diff(id_, outs, inputs).changes is False
        assert process.diff(id_, outs, {**inputs, "stackId": rpc.UNKNOWN}).changes is False
        moved = process.diff(id_, outs, {**inputs, "market": {**inputs["market"], "url": "http://127.0.0.1:1"}})
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


def started(process: DynamicProcess, market: RunningMarket, key: str) -> dict[str, Any]:
    """Have the process use a key, and return the inputs of a stack's rentals."""
    process.configure({"vastApiKey": key})
    return {
        "market": {"url": market.url, "hostUrl": "", "timeScale": market.time_scale},
        "stackId": "abc",
        "stack": "dev",
    }


def orphan(books: Books) -> int:
    """Rent something under the stack's id that no state knows."""
    number = next(iter(books.listed()))["id"]
    return books.rent(number, Request(image="image", label="gpu-fleet/abc/chat-0")).id


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
        assert outs["account"] == team.account
        assert process.diff("abc", outs, inputs).changes is False
    orphan(team.books)

    with DynamicProcess(RentalsProvider()) as process:
        started(process, market_of_two, market_of_two.key)
        for refused in (
            lambda: process.diff("abc", outs, inputs),
            lambda: process.read("abc", outs),
            lambda: process.delete("abc", outs),
        ):
            with pytest.raises(ProviderError, match=r"on account 4712 .*of account 4711 \(sandbox\)"):
                refused()
    assert len(team.books.all()) == 1

    with DynamicProcess(RentalsProvider()) as process:
        scopes = ["instance_read", "instance_write", "user_read"]
        started(process, market_of_two, team.keys.make("of a member", scopes, team.account).secret)
        assert process.diff("abc", outs, inputs).changes is False
        assert process.read("abc", outs).outs["account"] == team.account
        process.delete("abc", outs)
    assert team.books.all() == []


def test_an_update_that_writes_no_checkpoints_ends_nothing(
    market_of_two: RunningMarket, pulumi: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_SKIP_CHECKPOINTS", "true")
    orphan(market_of_two.books)
    with DynamicProcess(RentalsProvider()) as process:
        inputs = started(process, market_of_two, market_of_two.key)
        with pytest.raises(ProviderError, match="PULUMI_SKIP_CHECKPOINTS is set"):
            process.delete("abc", inputs)
    assert len(market_of_two.books.all()) == 1


def test_an_old_state_learns_the_account_from_what_is_rented_there_and_from_nothing_else(
    market_of_two: RunningMarket, process: DynamicProcess
) -> None:
    inputs = started(process, market_of_two, market_of_two.key)
    assert process.diff("abc", inputs, inputs).changes is False
    assert process.read("abc", inputs).outs.get("account") is None

    orphan(market_of_two.books)

    assert process.diff("abc", inputs, inputs).changes is True
    assert process.update("abc", inputs, inputs)["account"] == 4711
    assert process.read("abc", inputs).outs["account"] == 4711


def test_a_key_that_may_not_read_the_account_stops_what_would_drop_something_and_nothing_else(
    market_of_two: RunningMarket, process: DynamicProcess
) -> None:
    desk = market_of_two.desk
    blind = desk.keys.make("blind", ["misc", "instance_read", "instance_write"], desk.account).secret
    inputs = started(process, market_of_two, blind)
    assert process.create(inputs)[1].get("account") is None
    known = {**inputs, "account": 4711}

    assert process.diff("abc", known, inputs).changes is False
    assert process.read("abc", known).outs["account"] == 4711
    with pytest.raises(ProviderError, match="user_read"):
        process.delete("abc", known)
    process.delete("abc", inputs)  # a state that knows no account is believed as before


def test_another_market_has_other_accounts(market_of_two: RunningMarket, process: DynamicProcess) -> None:
    inputs = started(process, market_of_two, market_of_two.key)
    elsewhere = {**inputs, "market": {**inputs["market"], "url": "http://127.0.0.1:1"}, "account": 99}

    assert process.diff("abc", elsewhere, inputs).changes is True
    assert process.update("abc", elsewhere, inputs)["account"] == 4711
