"""The end of a stack's rentals: its own go, known or not; those of others stay; what cannot be asked is an error."""

from collections.abc import Iterator
from typing import Any

import pytest

from providers.rentals.ending import NotAsked, end_rentals, tell_late_boots
from providers.rentals.resource import RentalsProvider
from providers.vast import errors
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


def end(market: FakeMarket, said: list[str] | None = None) -> None:
    words = [] if said is None else said
    end_rentals(market, market.clock, Limits(), "abc", lambda phase, text: words.append(f"{phase}: {text}"))


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
    return {"market": {"url": market.url, "hostUrl": "", "timeScale": market.time_scale}, "stackId": "abc"}


def orphan(books: Books) -> int:
    """Rent something under the stack's id that no state knows."""
    number = next(iter(books.listed()))["id"]
    return books.rent(number, Request(image="image", label="gpu-fleet/abc/chat-0")).id


@pytest.fixture
def market_of_two() -> Iterator[RunningMarket]:
    with running_market() as running:
        running.accounts.named("team")
        yield running


def test_a_key_of_another_account_ends_preview_refresh_and_destroy(market_of_two: RunningMarket) -> None:
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
